"""What a search costs its driver as trials add up: seconds of CPU for each trial, by thread, and memory.

The trials train nothing: each reports its epochs at once, with made scores and class maps. All else is what a search
does: Ray Tune, TPE, early stopping, the ledger, MLflow in a SQLite store, predictions and the vote so far. TPE fits all
trials so far at every suggestion, and is shown apart.
"""

import argparse
import io
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import ray
from rich.console import Console
from rich.table import Table

from search.search_steps import claimed, running_screen, tracked
from search.tuning import tuner as tuning
from search.tuning.cluster.start_ray import start_ray
from search.tuning.plan import Plan
from search.tuning.searchers.optuna_search import OptunaSearch
from tests.instant_study import instant_plan
from tests.instant_trial import InstantTrial

THREADS = ("MainThread", "ledger", "mlflow")


@dataclass(frozen=True)
class Sample:
    """What the driver had used when `begun` trials had begun, in seconds of CPU and bytes."""

    begun: int
    results: int
    cpu: dict[str, float]
    suggesting: float
    memory: int


class Meter(threading.Thread):
    """Takes a sample whenever `every` more trials have begun; `results` says how many epochs were reported so far."""

    def __init__(self, results: Callable[[], int], every: int) -> None:
        super().__init__(daemon=True)
        self._results, self._every = results, every
        self.samples: list[Sample] = []
        self.suggesting, self.begun = 0.0, 0

    def timed(self, suggest: Callable) -> Callable:
        def call(searcher: OptunaSearch, trial_id: str) -> Any:
            began = time.thread_time()
            suggested = suggest(searcher, trial_id)
            self.suggesting += time.thread_time() - began
            if isinstance(suggested, dict):
                self.begun = max(self.begun, suggested["number"])
            return suggested

        return call

    def take(self) -> None:
        cpu = {}
        for thread in threading.enumerate():
            if thread.name in THREADS:
                cpu[thread.name] = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        memory = psutil.Process().memory_info().rss
        self.samples.append(Sample(self.begun, self._results(), cpu, self.suggesting, memory))

    def run(self) -> None:
        while True:
            if not self.samples or self.begun >= self.samples[-1].begun + self._every:
                self.take()
            time.sleep(0.1)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--every", type=int, default=50, help="trials of a row of the table")


def run(options: argparse.Namespace, console: Console) -> None:
    directory = Path(tempfile.mkdtemp())
    try:
        plan = instant_plan(directory, options.trials)
        console.print(_table(_search(plan, options.every)))
    finally:
        ray.shutdown()
        shutil.rmtree(directory, ignore_errors=True)


def _search(plan: Plan, every: int) -> list[Sample]:
    start_ray(None)
    silent = Console(file=io.StringIO())
    tuning.SegmentationTrainable = InstantTrial
    with claimed(plan), tracked(plan) as tracker, running_screen(plan, silent) as screen:
        meter = Meter(lambda: screen.progress.epochs_trained, every)
        OptunaSearch.suggest = meter.timed(OptunaSearch.suggest)
        tuner = tuning.StudyTuner(plan, tracker, screen)
        meter.start()
        tuner.fit()
        meter.take()
    return meter.samples


def _table(samples: list[Sample]) -> Table:
    table = Table(
        "trials", "results", "Tune's loop, ms a result", "suggestion, ms", "ledger, ms a trial", "MLflow and vote", "MB"
    )
    for before, after in pairwise(samples):
        trials, results = after.begun - before.begun, after.results - before.results
        if not trials or not results:
            continue
        spent = {name: after.cpu.get(name, 0.0) - before.cpu.get(name, 0.0) for name in THREADS}
        suggesting = after.suggesting - before.suggesting
        figures = (
            1000 * (spent["MainThread"] - suggesting) / results,
            1000 * suggesting / trials,
            1000 * spent["ledger"] / trials,
            1000 * spent["mlflow"] / trials,
            after.memory / 2**20,
        )
        table.add_row(f"{before.begun} to {after.begun}", str(results), *(f"{figure:.0f}" for figure in figures))
    return table
