"""The share of a search's time in which each of its slots trains, and where the rest of the time goes.

A search of short trials on the built-in data set is run as users run it, with Ray and MLflow, after a search of one
trial that draws the photos, fills the cache and makes MLflow's store. The end and the duration of each epoch are read
from the trials' epochs.jsonl. An epoch is training and scoring; what a slot does between two epochs is idle time.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from search.screen.gpus import read_gpus
from search.study.study import Study, study_in
from tests.benchmarks.places import ROOT
from trainables.data.batches.training_batches import steps_per_epoch

CLOCK_S = 0.5  # by which one process's last epoch may overlap another's first, since it is written after its end
SPACE = """
def suggest(trial):
    return {{
        "head": trial.suggest_categorical("head", ["segformer", "fpn", "unet"]),
        "backbone": "tf_efficientnet_lite0",
        "lr": trial.suggest_float("lr", 1e-3, 4e-3, log=True),
        "augmentation": "flip", "batch_size": 8, "image_size": "{size}", "epochs": {epochs},
    }}
"""


@dataclass(frozen=True)
class Epoch:
    """One epoch of a trial: when it began and ended (seconds since 1970), of which it trained for `trained_s`."""

    trial: int
    begins: float
    ends: float
    trained_s: float


def epochs_of(study: Study) -> list[Epoch]:
    """Return all epochs of a study, in the order in which they began."""
    epochs = []
    for files in study.trials():
        config = files.read_config()
        photos, batch = study.data.photos_per_epoch(config.fold), config.effective_batch
        seen = min(photos, steps_per_epoch(photos, batch) * batch)
        for record in files.records():
            begins = record["time"] - record["epoch_s"]
            epochs.append(Epoch(files.number, begins, record["time"], seen / record["images_per_s"]))
    return sorted(epochs, key=lambda epoch: epoch.begins)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--slots", type=int, default=2, help="how many trials run side by side")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--size", type=int, default=64, help="height and width of the photos, pixels")
    parser.add_argument("--dir", type=Path, help="where the studies are; one that is given is kept and used again")
    parser.add_argument("--code", type=Path, default=ROOT, help="another checkout, to compare it with this one")


def run(options: argparse.Namespace, console: Console) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.dir or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        space = directory / "short.py"
        space.write_text(SPACE.format(size=options.size, epochs=options.epochs))
        if not list(directory.glob("warm*")):
            _search(options, directory, f"warm-{os.getpid()}", trials=1)
        name = f"timed-{os.getpid()}"
        began, ended = _search(options, directory, name, trials=options.trials)
        study = study_in(directory / name, directory / "cache")
        _show(epochs_of(study), options.slots, began, ended, console)


def _search(options: argparse.Namespace, directory: Path, name: str, *, trials: int) -> tuple[float, float]:
    """Run a search; return when the command was given and when it had ended."""
    command = [sys.executable, str(options.code / "search" / "run.py"), "--space", str(directory / "short.py")]
    command += ["--data", "sample", "--name", name, "--trials", str(trials), "--concurrency", str(options.slots)]
    command += ["--runs-dir", str(directory), "--cache-dir", str(directory / "cache")]
    gpus = len(read_gpus())
    if 0 < gpus < options.slots:
        command += ["--gpus-per-trial", f"{gpus / options.slots:.3g}"]
    environment = {**os.environ, "PYTHONPATH": str(options.code), "RAY_worker_niceness": "0"}
    began = time.time()
    with (directory / f"{name}.txt").open("w") as output:
        subprocess.run(command, check=True, cwd=directory, env=environment, stdout=output, stderr=output)
    return began, time.time()


def slots_of(epochs: Sequence[Epoch], slots: int) -> list[list[Epoch]]:
    """Return the epochs of each slot: the slot of the same trial's last epoch, or else the one idle for the longest."""
    rows: list[list[Epoch]] = [[] for _ in range(slots)]
    for epoch in epochs:
        free = [row for row in rows if not row or row[-1].ends <= epoch.begins + CLOCK_S] or rows
        same = [row for row in free if row and row[-1].trial == epoch.trial]
        (same or [min(free, key=lambda row: row[-1].ends if row else 0.0)])[0].append(epoch)
    return rows


def _show(epochs: Sequence[Epoch], slots: int, began: float, ended: float, console: Console) -> None:
    first, last = epochs[0].begins, max(epoch.ends for epoch in epochs)
    wall = ended - began
    table = Table("slot", "trials", "training", "scoring", "saving", "next trial", "start", "end", "idle")
    busy = between = 0.0
    for number, row in enumerate(slots_of(epochs, slots), start=1):
        trained, active = sum(epoch.trained_s for epoch in row), sum(epoch.ends - epoch.begins for epoch in row)
        saving = sum(after.begins - before.ends for before, after in pairwise(row) if after.trial == before.trial)
        waiting = sum(after.begins - before.ends for before, after in pairwise(row)) - saving
        parts = (trained, active - trained, saving, waiting, row[0].begins - began, ended - row[-1].ends, wall - active)
        table.add_row(str(number), str(len({epoch.trial for epoch in row})), *(f"{part:.1f}" for part in parts))
        busy += active
        between += saving + waiting
    console.print(table)
    console.print("Seconds. Start: until the slot's first epoch begins; end: after its last epoch.")
    console.print(f"From the command to the first training step: {first - began:.1f} s; the search took {wall:.1f} s")
    console.print(
        f"A slot is in an epoch for {100 * busy / slots / wall:.0f} % of the search, and for "
        f"{100 * busy / slots / (last - first):.0f} % of the time between the first and the last epoch of all; "
        f"it is in one for {100 * busy / (busy + between):.0f} % of the time between its own first and last epoch"
    )
