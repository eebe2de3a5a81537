"""What the augmentation copy_paste costs of the loader's throughput, against light, which it adds objects to.

Epochs of the two are loaded in turn, on one core and without a network, so that what else the machine does falls on
both. The ratio is the median over the pairs.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.benchmarks.places import ROOT
from trainables.config import parse_size
from trainables.data import PackedData, load_dataset, pack
from trainables.data.batches.training_batches import TrainingBatches
from trainables.data.sample.dataset import write_sample

SHARED = ROOT.parent / "shared" / "data"


def add_flags(parser: argparse.ArgumentParser) -> None:
    names = ["sample", *(name for name in ("recycle60", "garbage6") if (SHARED / name).is_dir())]
    parser.add_argument("--data", nargs="+", default=names, help="data sets (%(default)s)")
    parser.add_argument("--sizes", nargs="+", default=["256", "512"], help="of the photos (%(default)s)")
    parser.add_argument("--rounds", type=int, default=8, help="epochs of each (%(default)s)")
    parser.add_argument("--images", type=int, default=32, help="photos an epoch (%(default)s)")


def run(options: argparse.Namespace, console: Console) -> None:
    table = Table("data set", "size", "light, photos/s", "copy_paste, photos/s", "throughput lost")
    with tempfile.TemporaryDirectory() as directory:
        for name in options.data:
            root = write_sample(Path(directory) / "sample", seed=0) if name == "sample" else SHARED / name
            dataset = load_dataset(root, cache_dir=directory)
            for size in options.sizes:
                packed = pack(dataset, parse_size(size), Path(directory))
                rows = dataset.rows("train")[: options.images]
                pairs = _compare(packed, rows, parse_size(size), options.rounds)
                light, pasted = (len(rows) / median(seconds) for seconds in zip(*pairs))
                lost = 1 - median(one / other for one, other in pairs)
                table.add_row(name, size, f"{light:.0f}", f"{pasted:.0f}", f"{lost:.0%}")
    console.print(table)


def _compare(
    packed: PackedData, rows: tuple[int, ...], size: tuple[int, int], rounds: int
) -> list[tuple[float, float]]:
    """Return the CPU seconds of an epoch with light and of one with copy_paste, in turn."""
    how = {"batch_size": 8, "size": size, "seed": 0, "workers": 0, "pin_memory": False}
    loaders = [TrainingBatches(packed, rows, augmentation=policy, **how) for policy in ("light", "copy_paste")]
    for loader in loaders:
        _load(loader, 0)  # photos are read into memory, and objects are looked for
    return [tuple(_load(loader, epoch) for loader in loaders) for epoch in range(1, rounds + 1)]


def _load(loader: TrainingBatches, epoch: int) -> float:
    began = time.process_time()
    for _ in loader.epoch(epoch):
        pass
    return time.process_time() - began
