"""What a GPU is used for, in four minutes: training steps, predicting files, a search's idle share, and compiling.

Everything is compared within one run, in turn. Networks are compiled side by side, each in a process of its own, which
is ended when the time is over, and only one of them measures at a time; what they have measured by then is printed.
With --parts compile they have all of the time.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from filelock import FileLock
from rich.console import Console
from rich.table import Table

from tests.benchmarks.places import ROOT
from tests.benchmarks.training import predict_against_forward
from trainables.config import TrialConfig
from trainables.data import load_dataset, make_splits
from trainables.data.sample.dataset import write_sample
from trainables.errors import UserError
from trainables.hardware import precision
from trainables.study_data import StudyData
from trainables.training import Trainer

PARTS = ("steps", "predict", "depthwise", "search", "compile")
COMPILED = (("unet", "resnet50"), ("segformer", "mit_b0"), ("upernet", "convnext_tiny"))
SEARCH_S = 80  # seconds at most for the search whose idle share is measured
PHOTOS_PER_EPOCH = 300  # of the trials for which it is told when compiling pays


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, default=512, help="side of the photos, pixels (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="photos a step (%(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="steps of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=225, help="for everything (%(default)s)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="(all)")
    parser.add_argument("--without-gpu", action="store_true", help="run on a CPU, to try the benchmark itself")
    parser.add_argument("--compile", nargs=2, metavar=("HEAD", "BACKBONE"), help="print JSON on this network alone")
    parser.add_argument("--lock", type=Path, help="of the process that measures, with --compile")


def run(options: argparse.Namespace, console: Console) -> None:
    ends = time.monotonic() + options.seconds
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.without_gpu:
        console.print("It was not run: there is no GPU")
        return
    with tempfile.TemporaryDirectory() as directory:
        root = write_sample(Path(directory) / "sample", train=24, val=24, test=0, size=options.size)
        data = _study_data(root, Path(directory) / "cache")
        options.lock = options.lock or Path(directory) / "measuring"
        if options.compile:
            _compile(_trainers(data, options), _batch(data, options, device), options, device)
            return
        console.print(torch.cuda.get_device_name() if device == "cuda" else "on a CPU, whose figures mean little here")
        if "steps" in options.parts:
            console.print(_steps_against_smp(data, options, device))
        if "predict" in options.parts:
            photos, repeat = (24, 16) if device == "cuda" else (4, 1)
            how = {"rounds": options.rounds, "threads": torch.get_num_threads()}
            files = argparse.Namespace(images=root / "val.json", photos=photos, repeat=repeat, **how)
            predict_against_forward.run(files, console)
        if "depthwise" in options.parts:
            console.print(_depthwise(data, options, device))
    if device == "cuda":
        torch.cuda.empty_cache()
    if "search" in options.parts:
        _idle_share(min(SEARCH_S, (ends - time.monotonic()) / 2), console)
    if "compile" in options.parts:
        console.print(_compiling(options, ends))


def _idle_share(seconds: float, console: Console) -> None:
    """Print the idle share of a real search, if it ends in time."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:  # which the killed one would leave
        flags = ["idle_share", "--trials", "8", "--slots", "2", "--size", "256", "--dir", directory]
        shown, ended = _output([sys.executable, "-m", "tests.benchmarks", *flags], seconds)
    console.print(shown if ended else f"The search whose idle share is measured did not end in {seconds:.0f} s.")


def _output(command: list[str], seconds: float) -> tuple[str, bool]:
    """Return what a command printed, and whether it succeeded in that time; then all that it started is killed."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        try:
            return process.communicate(timeout=max(1.0, seconds))[0], process.returncode == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.communicate()[0], False


def _study_data(root: Path, cache: Path) -> StudyData:
    dataset = load_dataset(root, cache_dir=cache)
    splits = make_splits(dataset, folds=2, holdout_fraction=0.5, seed=0)
    return StudyData(root, "background", dataset.fingerprint, dataset.class_names, splits, cache)


def _trainer(data: StudyData, options: argparse.Namespace, head: str, backbone: str, **other: object) -> Trainer:
    config = TrialConfig(
        head=head,
        backbone=backbone,
        pretrained=False,
        image_size=str(options.size),
        batch_size=options.batch,
        grad_clip=1.0,
        epochs=10_000,  # so that no schedule ends within the measurement
        **other,
    )
    trainer = Trainer(config, data)
    trainer.model.train()
    return trainer


def _steps_against_smp(data: StudyData, options: argparse.Namespace, device: str) -> Table:
    """Whole steps of the same network, clipped, with AdamW: as a trial makes them, and as users of smp write them."""
    trainer, unfused = (_trainer(data, options, "unet", "resnet50") for _ in range(2))
    for group in unfused.optimizer.param_groups:
        group["fused"] = False
    theirs = smp.Unet("resnet50", encoder_weights=None, classes=data.num_classes).to(device).train()
    theirs = theirs.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-4)
    images, masks = _batch(data, options, device)

    def their_step() -> None:
        with torch.autocast(device, dtype=torch.bfloat16):
            x = (images.float() / 255).contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(theirs(x), masks.long(), ignore_index=255)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    names = ("SegVote", "SegVote, AdamW not fused", "segmentation-models-pytorch")
    steps = [partial(trainer._step, images, masks), partial(unfused._step, images, masks), their_step]
    seconds = _in_turn(steps, options, device)
    table = Table("U-Net on resnet50, channels last, bf16", "photos/s", "of smp's")
    for name, taken in zip(names, seconds):
        ratio = median(smp_s / own_s for own_s, smp_s in zip(taken, seconds[-1]))
        table.add_row(name, f"{options.batch / median(taken):.1f}", f"{ratio:.3f}")
    return table


def _depthwise(data: StudyData, options: argparse.Namespace, device: str) -> Table:
    """The first step and later ones of a network with depthwise convolutions, by PyTorch's kernels and by cuDNN's."""
    table = Table("U-Net++ on EfficientNet-Lite2, bf16, depthwise kernels", "first step, s", "photos/s")
    images, masks = _batch(data, options, device)
    few = precision.FEW_STEPS
    for name, steps in (("PyTorch's", sys.maxsize), ("cuDNN's, compiled", 0)):
        precision.FEW_STEPS = steps
        trainer = _trainer(data, options, "unetplusplus", "tf_efficientnet_lite2")
        began = time.perf_counter()
        trainer._step(images, masks)
        _wait(device)
        first = time.perf_counter() - began
        (taken,) = _in_turn([partial(trainer._step, images, masks)], options, device)
        table.add_row(name, f"{first:.1f}", f"{options.batch / median(taken):.1f}")
    precision.FEW_STEPS = few
    return table


def _compiling(options: argparse.Namespace, ends: float) -> Table:
    """Compile the networks side by side, each in a process of its own, until `ends`."""
    columns = (
        "first step, s",
        "photos/s eager",
        "compiled",
        "gain",
        f"pays after, epochs of {PHOTOS_PER_EPOCH} photos",
    )
    table = Table("torch.compile, side by side", *columns)
    flags = [f"--{name}={getattr(options, name)}" for name in ("size", "batch", "steps", "rounds")]
    flags += ["--without-gpu"] if options.without_gpu else []
    seconds = ends - time.monotonic()
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(len(COMPILED)) as pool:
        command = [sys.executable, "-m", "tests.benchmarks", "gpu", *flags, "--lock", f"{directory}/measuring"]
        printed = pool.map(lambda network: _output([*command, "--compile", *network], seconds)[0], COMPILED)
        for network, text in zip(COMPILED, printed):
            known: dict[str, float | str] = {}
            for line in text.splitlines():
                known |= json.loads(line) if line.startswith("{") else {}
            table.add_row(" on ".join(network), *_cells(known, seconds, options.batch))
    return table


def _cells(known: dict[str, float | str], most: float, batch: int) -> list[str]:
    """Return a network's cells from the seconds that are known: of the first compiled step, and of steps after it."""
    if "error" in known:
        return [str(known["error"]), "", "", "", ""]
    eager, first, compiled = (known.get(name) for name in ("eager", "first", "compiled"))
    cells = [f"more than {most:.0f}, imports included" if first is None else f"{first:.0f}"]
    cells += ["" if seconds is None else f"{batch / seconds:.1f}" for seconds in (eager, compiled)]
    if compiled is None:
        return [*cells, "", ""]
    saved = (eager - compiled) * PHOTOS_PER_EPOCH / batch
    return [*cells, f"{eager / compiled:.2f}", f"{first / saved:.0f}" if saved > 0 else "never"]


def _trainers(data: StudyData, options: argparse.Namespace) -> list[Trainer]:
    """Return a trainer of the network that the flags name, and one that compiles it."""
    return [_trainer(data, options, *options.compile, compile=compile) for compile in (False, True)]


def _compile(
    trainers: list[Trainer], batch: tuple[torch.Tensor, torch.Tensor], options: argparse.Namespace, device: str
) -> None:
    """Print, as JSON as soon as it is known, seconds of a step, of the first compiled one, and of a compiled one."""
    eager, compiled = (partial(trainer._step, *batch) for trainer in trainers)
    lock = FileLock(options.lock)
    with lock:
        (alone,) = _in_turn([eager], options, device)
    print(json.dumps({"eager": median(alone)}), flush=True)
    began = time.perf_counter()
    try:
        compiled()
    except UserError as error:  # a compiler that is not there, or does not know an operation
        print(json.dumps({"error": str(error)[:80]}), flush=True)
        return
    _wait(device)
    print(json.dumps({"first": time.perf_counter() - began}), flush=True)
    with lock:
        slow, fast = (median(taken) for taken in _in_turn([eager, compiled], options, device))
    print(json.dumps({"eager": slow, "compiled": fast}), flush=True)


def _batch(data: StudyData, options: argparse.Namespace, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 images (N, 3, H, W) and masks (N, H, W) on the device."""
    generator = torch.Generator().manual_seed(0)
    shape = (options.batch, options.size, options.size)
    images = torch.randint(256, (shape[0], 3, *shape[1:]), dtype=torch.uint8, generator=generator)
    masks = torch.randint(data.num_classes, shape, dtype=torch.uint8, generator=generator)
    return images.to(device), masks.to(device)


def _in_turn(steps: list[Callable[[], None]], options: argparse.Namespace, device: str) -> list[list[float]]:
    """Seconds a step, of each round, after a round that does not count."""
    taken: list[list[float]] = [[] for _ in steps]
    for number in range(options.rounds + 1):
        for step, seconds in zip(steps, taken):
            began = time.perf_counter()
            for _ in range(options.steps):
                step()
            _wait(device)
            if number:
                seconds.append((time.perf_counter() - began) / options.steps)
    return taken


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
