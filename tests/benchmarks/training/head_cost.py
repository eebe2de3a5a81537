"""What each head costs in training: a step's time against the same backbone with a bare 1x1 head, and peak memory."""

import argparse
import multiprocessing
import resource
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from tests.benchmarks.places import BACKBONE
from trainables.models import HEADS, build_model
from trainables.models.heads.base import Head, Pyramid

NUM_CLASSES = 11
BARE = "bare 1x1"


class BareHead(Head):
    """A 1x1 convolution on the deepest map, at the backbone's own stride: the least that gives logits."""

    taps = (-1,)

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Identity()
        self.classifier = nn.Conv2d(pyramid.channels[-1], num_classes, kernel_size=1)

    def decode(self, features: list[Tensor]) -> Tensor:
        return features[-1]


@dataclass(frozen=True)
class Cost:
    parameters: int
    step_s: float
    memory_gb: float
    compiles: str


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backbone", default=BACKBONE, help="the body of all heads (%(default)s)")
    parser.add_argument("--heads", nargs="+", default=list(HEADS), metavar="HEAD", help="heads to measure (all)")
    parser.add_argument("--size", type=int, default=128, help="side of the square images, pixels (%(default)s)")
    parser.add_argument("--batch", type=int, default=2, help="images a step (%(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="steps timed; the fastest counts (%(default)s)")
    parser.add_argument("--channels-last", action="store_true", help="train in channels_last")
    parser.add_argument("--compile", action="store_true", help="also compile each model, and say if it works")


def run(options: argparse.Namespace, console: Console) -> None:
    """Each head in a process of its own, whose peak memory is then the head's."""
    costs = {}
    start = "spawn" if torch.cuda.is_available() else "fork"  # CUDA outlives no fork; without it, imports are spared
    for head in [BARE, *options.heads]:
        with multiprocessing.get_context(start).Pool(1) as process:
            costs[head] = process.apply(measure, (head, options))
    layout = "channels last" if options.channels_last else "contiguous"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    console.print(f"{options.backbone}, {options.batch} x {options.size}x{options.size}, {layout}, {device}")
    console.print(_table(costs, compiled=options.compile))


def measure(head: str, options: argparse.Namespace) -> Cost:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    HEADS[BARE] = BareHead
    model = build_model(head=head, backbone=options.backbone, num_classes=NUM_CLASSES, pretrained=False)
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout)
    images = torch.randn(options.batch, 3, options.size, options.size, device=device).to(memory_format=layout)
    target = torch.randint(NUM_CLASSES, (options.batch, options.size, options.size), device=device)
    before = _peak_memory_gb(device)
    seconds = [_step(model, images, target) for _ in range(1 + options.steps)][1:]
    memory = _peak_memory_gb(device) - before
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters, min(seconds), memory, _compiles(model, images) if options.compile else "")


def _step(model: nn.Module, images: Tensor, target: Tensor) -> float:
    started = time.perf_counter()
    sum(weight * F.cross_entropy(logits, target) for weight, logits in model.training_logits(images)).backward()
    if images.is_cuda:
        torch.cuda.synchronize()
    model.zero_grad()
    return time.perf_counter() - started


def _peak_memory_gb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB


def _compiles(model: nn.Module, images: Tensor) -> str:
    """Whether torch.compile gives one graph with the model's own logits; traced, without generating code."""
    with torch.no_grad():
        expected = model.eval()(images)
        try:
            compiled = torch.compile(model, backend="aot_eager", fullgraph=True)(images)
        except Exception as error:  # the compiler raises what it meets
            return f"no: {type(error).__name__}"
    return "yes" if torch.allclose(compiled, expected, atol=1e-4) else "other logits"


def _table(costs: dict[str, Cost], *, compiled: bool) -> Table:
    columns = ["head", "parameters, M", "s/step", "of bare head", "memory of steps, GB"]
    table = Table(*columns, *(["compiles"] if compiled else []))
    for head, cost in costs.items():
        cells = [f"{cost.parameters / 1e6:.1f}", f"{cost.step_s:.3f}", f"{cost.step_s / costs[BARE].step_s:.1f}"]
        table.add_row(head, *cells, f"{cost.memory_gb:.2f}", *([cost.compiles] if compiled else []))
    return table
