"""What a GPU is used for: training steps against segmentation-models-pytorch's, torch.compile, and predicting files.

Everything is compared within one run, in turn. Without a GPU it runs on the CPU, where its figures mean little.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from tests.benchmarks.training import predict_against_forward
from trainables.config import TrialConfig
from trainables.data import load_dataset, make_splits
from trainables.data.sample.dataset import write_sample
from trainables.study_data import StudyData
from trainables.training import Trainer

COMPILED = (("unet", "resnet50"), ("upernet", "convnext_tiny"), ("segformer", "mit_b0"))


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, default=512, help="side of the photos, pixels (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="photos a step (%(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="steps of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")


def run(options: argparse.Namespace, console: Console) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    console.print(torch.cuda.get_device_name() if device == "cuda" else "no GPU: the figures are a CPU's")
    with tempfile.TemporaryDirectory() as directory:
        root = write_sample(Path(directory) / "sample", train=24, val=24, test=0, size=options.size)
        data = _study_data(root, Path(directory) / "cache")
        console.print(_steps_against_smp(data, options, device))
        threads = torch.get_num_threads()
        files = argparse.Namespace(images=root / "val.json", photos=24, rounds=options.rounds, threads=threads)
        predict_against_forward.run(files, console)
        if not options.no_compile:
            console.print(_compiling(data, options, device))


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


def _compiling(data: StudyData, options: argparse.Namespace, device: str) -> Table:
    columns = ("first step, s", "photos/s eager", "photos/s compiled", "gain", "pays after, epochs of 300 photos")
    table = Table("torch.compile", *columns)
    images, masks = _batch(data, options, device)
    for head, backbone in COMPILED:
        try:
            eager = _trainer(data, options, head, backbone)
            compiled = _trainer(data, options, head, backbone, compile=True)
            began = time.perf_counter()
            compiled._step(images, masks)
            _wait(device)
            first = time.perf_counter() - began
            taken = _in_turn([partial(one._step, images, masks) for one in (eager, compiled)], options, device)
            slow, fast = (median(one) for one in taken)
            saved = (slow - fast) * 300 / options.batch
            pays = f"{first / saved:.0f}" if saved > 0 else "never"
            speeds = [f"{options.batch / seconds:.1f}" for seconds in (slow, fast)]
            cells = [f"{first:.0f}", *speeds, f"{slow / fast:.2f}", pays]
        except Exception as error:  # a compiler that is not there, or does not know an operation
            cells = [f"{type(error).__name__}: {str(error).splitlines()[0][:60]}", "", "", "", ""]
        table.add_row(f"{head} {backbone}", *cells)
    return table


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
