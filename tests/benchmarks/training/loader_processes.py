"""How long training waits for the loader's processes: for a trial's first batch, and for the first one of other epochs.

Trials with other augmentations follow each other in one process, as in a search. Nothing is trained: after each epoch
the process sleeps for as long as evaluation might take.
"""

import argparse
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from trainables.config import parse_size
from trainables.data import PackedData, load_dataset, pack
from trainables.data.batches.loader import close_kept
from trainables.data.batches.training_batches import TrainingBatches
from trainables.data.sample.dataset import write_sample

POLICIES = ("light", "flip", "photometric", "strong")
EPOCHS = 3


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of the photos, pixels (%(default)s)")
    parser.add_argument("--images", type=int, default=32, help="photos an epoch (%(default)s)")
    parser.add_argument("--evaluation", type=float, default=0.3, help="seconds after each epoch (%(default)s)")


def run(options: argparse.Namespace, console: Console) -> None:
    table = Table("trial", "wait for the first batch, ms", "of later epochs, ms", "loading of all epochs, s")
    with tempfile.TemporaryDirectory() as directory:
        root = write_sample(Path(directory) / "sample", train=options.images, val=4, test=0, size=options.size)
        dataset = load_dataset(root, cache_dir=directory)
        packed = pack(dataset, parse_size(str(options.size)), Path(directory))
        for policy in POLICIES:
            first, *later, loading = _trial(packed, dataset.rows("train"), policy, options)
            waits = ", ".join(f"{1000 * seconds:.0f}" for seconds in later)
            table.add_row(policy, f"{1000 * first:.0f}", waits, f"{loading:.2f}")
        close_kept()
    console.print(table)


def _trial(packed: PackedData, rows: tuple[int, ...], policy: str, options: argparse.Namespace) -> list[float]:
    """Return the seconds of waiting for each epoch's first batch, and then those of all loading."""
    how = {"size": packed.image_size, "seed": 0, "workers": options.workers, "pin_memory": False}
    began, waits = time.monotonic(), []
    batches = TrainingBatches(packed, rows, batch_size=8, augmentation=policy, **how)
    loading = 0.0
    for epoch in range(EPOCHS):
        loaded = iter(batches.epoch(epoch))
        next(loaded)
        waits.append(time.monotonic() - began)
        for _ in loaded:
            pass
        if epoch + 1 < EPOCHS:
            batches.begin(epoch + 1)
        loading += time.monotonic() - began
        time.sleep(options.evaluation)
        began = time.monotonic()
    return [*waits, loading]
