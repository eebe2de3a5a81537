"""How many photos a loader's process augments in a second, by policy, and what copy_paste costs beside light.

Epochs of all policies are loaded in turn, on one core and without a network, and CPU time is measured, so that what
else the machine does falls on all. The ratio is the median over the rounds.
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
from trainables.data.batches.policies import AUGMENTATIONS
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
    columns = [f"{policy}, photos/s" for policy in AUGMENTATIONS]
    table = Table("data set", "size", *columns, "copy_paste loses of light")
    with tempfile.TemporaryDirectory() as directory:
        for name in options.data:
            root = write_sample(Path(directory) / "sample", seed=0) if name == "sample" else SHARED / name
            dataset = load_dataset(root, cache_dir=directory)
            for size in options.sizes:
                packed = pack(dataset, parse_size(size), Path(directory))
                rows = dataset.rows("train")[: options.images]
                seconds = _in_turn(packed, rows, parse_size(size), options.rounds)
                rates = [f"{len(rows) / median(taken):.0f}" for taken in seconds.values()]
                lost = 1 - median(light / pasted for light, pasted in zip(seconds["light"], seconds["copy_paste"]))
                table.add_row(name, size, *rates, f"{lost:.0%}")
    console.print(table)


def _in_turn(packed: PackedData, rows: tuple[int, ...], size: tuple[int, int], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each round's epoch, by policy."""
    how = {"batch_size": 8, "size": size, "seed": 0, "workers": 0, "pin_memory": False}
    loaders = {policy: TrainingBatches(packed, rows, augmentation=policy, **how) for policy in AUGMENTATIONS}
    for loader in loaders.values():
        _load(loader, 0)  # photos are read into memory, and objects are looked for
    taken = [{policy: _load(loader, epoch) for policy, loader in loaders.items()} for epoch in range(1, rounds + 1)]
    return {policy: [one[policy] for one in taken] for policy in loaders}


def _load(loader: TrainingBatches, epoch: int) -> float:
    began = time.process_time()
    for _ in loader.epoch(epoch):
        pass
    return time.process_time() - began
