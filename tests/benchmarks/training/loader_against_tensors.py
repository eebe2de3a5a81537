"""The training step fed from TrainingBatches against the same step fed from tensors that are ready (CamVid).

Both are epochs of the same Trainer, in turn, so that what else the machine does falls on both.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from tests.benchmarks.places import BACKBONE, BATCH_SIZE, CAMVID, SIZE, WEIGHTS
from trainables.config import TrialConfig
from trainables.data import Splits, load_dataset, pack
from trainables.study_data import StudyData
from trainables.training import Trainer


@dataclass(frozen=True)
class ReadyBatches:
    """Stands in for TrainingBatches: the same batches in every epoch, made beforehand."""

    batches: list[tuple[Tensor, Tensor]]

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches)

    def begin(self, number: int) -> None:
        """Do nothing: all is there."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policies", nargs="+", default=["flip", "light"], help="augmentations (flip light)")
    parser.add_argument("--rounds", type=int, default=8, help="epochs of each kind (%(default)s)")
    parser.add_argument("--images", type=int, default=48, help="photos an epoch (%(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="(%(default)s)")


def run(options: argparse.Namespace, console: Console) -> None:
    torch.set_num_threads(options.threads)
    table = Table("augmentation", "ms/photo to load", *("loader, photos/s", "ready, photos/s", "loader / ready"))
    with tempfile.TemporaryDirectory() as directory:
        study = _study(options.images, Path(directory))
        for policy in options.policies:
            load_s, loaded, ready = _compare(study, policy, options.rounds)
            ratio = median(a / b for a, b in zip(loaded, ready))
            table.add_row(policy, f"{1000 * load_s:.2f}", f"{mean(loaded):.2f}", f"{mean(ready):.2f}", f"{ratio:.3f}")
    console.print(table)


def _study(images: int, cache_dir: Path) -> StudyData:
    """A study of CamVid that trains on its first photos, and scores next to nothing after each epoch."""
    dataset = load_dataset(CAMVID, unlabelled="ignore", cache_dir=cache_dir)
    pack(dataset, SIZE, cache_dir)
    training, holdout = dataset.rows("train")[:images], dataset.rows("val")[:1]
    splits = Splits(holdout=holdout, folds=(training,), test=(), seed=0)
    return StudyData(CAMVID, "ignore", dataset.fingerprint, dataset.class_names, splits, cache_dir)


def _compare(study: StudyData, policy: str, rounds: int) -> tuple[float, list[float], list[float]]:
    """Seconds to load a photo, and photos/s of training epochs fed by the loader and by ready tensors, in pairs."""
    config = TrialConfig(
        head="unet",
        backbone=BACKBONE,
        weights_dir=str(WEIGHTS),
        image_size=f"{SIZE[1]}x{SIZE[0]}",
        augmentation=policy,
        batch_size=BATCH_SIZE,
        epochs=2 * rounds + 1,
    )
    workers = 8 if torch.cuda.is_available() else 0
    trainer = Trainer(config, study, loader_workers=workers)
    loader = trainer.batches
    trainer.run_epoch()  # the first steps choose kernels and allocate
    began = time.monotonic()
    ready = ReadyBatches(list(loader.epoch(0)))
    load_s = (time.monotonic() - began) / (len(ready) * BATCH_SIZE)
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for batches, measured in zip((loader, ready), rates):
            trainer.batches = batches
            measured.append(trainer.run_epoch()["images_per_s"])
    return load_s, *rates
