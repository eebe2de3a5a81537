"""The share of a search's time in which each of its slots trains, and where the rest of the time goes.

A search of short trials on the built-in data set is run as users run it, with Ray and MLflow, after a search of one
trial that draws the photos, fills the cache and makes MLflow's store. Everything is read from the files that a search
writes: epochs.jsonl has the end and the duration of each epoch, and a trial's config.json is written when its process
begins to build the model.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from search.study.study import Study, study_in
from tests.benchmarks.places import ROOT
from trainables.data.batches.training_batches import steps_per_epoch
from trainables.trial.files import TrialFiles

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
class Run:
    """When a trial did what, in seconds since the epoch; `trained_s` and `scored_s` are durations."""

    number: int
    suggested: float
    builds: float
    first_step: float
    ends: float
    trained_s: float
    scored_s: float

    @classmethod
    def of(cls, study: Study, files: TrialFiles) -> "Run":
        records, config = files.records(), files.read_config()
        photos, batch = study.data.photos_per_epoch(config.fold), config.effective_batch
        seen = min(photos, steps_per_epoch(photos, batch) * batch)
        trained_s = sum(seen / record["images_per_s"] for record in records)
        return cls(
            files.number,
            suggested=files.suggestion.stat().st_mtime,
            builds=files.config.stat().st_mtime,
            first_step=records[0]["time"] - records[0]["epoch_s"],
            ends=records[-1]["time"],
            trained_s=trained_s,
            scored_s=sum(record["epoch_s"] for record in records) - trained_s,
        )


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
        _show([Run.of(study, files) for files in study.trials()], options.slots, began, ended, console)


def _search(options: argparse.Namespace, directory: Path, name: str, *, trials: int) -> tuple[float, float]:
    """Run a search; return when the command was given and when it had ended."""
    command = [sys.executable, str(options.code / "search" / "run.py"), "--space", str(directory / "short.py")]
    command += ["--data", "sample", "--name", name, "--trials", str(trials), "--concurrency", str(options.slots)]
    command += ["--runs-dir", str(directory), "--cache-dir", str(directory / "cache")]
    environment = {**os.environ, "PYTHONPATH": str(options.code), "RAY_worker_niceness": "0"}
    began = time.time()
    with (directory / f"{name}.txt").open("w") as output:
        subprocess.run(command, check=True, cwd=directory, env=environment, stdout=output, stderr=output)
    return began, time.time()


def slots_of(runs: list[Run], slots: int) -> list[list[Run]]:
    """Return the trials of each slot: a trial takes the slot that became free last before it began."""
    rows: list[list[Run]] = [[] for _ in range(slots)]
    for one in sorted(runs, key=lambda run: run.builds):
        free = [row for row in rows if not row or row[-1].ends <= one.builds]
        (max(free, key=lambda row: row[-1].ends if row else 0.0)).append(one)
    return rows


def _show(runs: list[Run], slots: int, began: float, ended: float, console: Console) -> None:
    first, last = min(run.first_step for run in runs), max(run.ends for run in runs)
    wall = ended - began
    table = Table("slot", "trials", "training", "scoring", "saving", "building", "next trial", "start", "end", "idle")
    shares, inner = [], []
    for number, row in enumerate(slots_of(runs, slots), start=1):
        trained, scored = sum(run.trained_s for run in row), sum(run.scored_s for run in row)
        active = sum(run.ends - run.first_step for run in row)
        building = sum(run.first_step - run.builds for run in row)
        waiting = sum(after.builds - before.ends for before, after in pairwise(row))
        start, end = row[0].builds - began, ended - row[-1].ends
        parts = (trained, scored, active - trained - scored, building, waiting, start, end)
        shares.append(active / wall)
        inner.append(active / (last - first))
        table.add_row(str(number), str(len(row)), *(f"{part:.1f}" for part in parts), f"{wall - active:.1f}")
    console.print(table)
    console.print("Seconds. Start: until the first trial's model is built; end: after the slot's last epoch.")
    console.print(f"From the command to the first training step: {first - began:.1f} s; the search took {wall:.1f} s")
    console.print(
        f"A slot is between a trial's first and last step for {100 * sum(shares) / slots:.0f} % of the search, and for "
        f"{100 * sum(inner) / slots:.0f} % of the time between the first and the last epoch of all"
    )
