"""How much sooner a search that learns from a study on other data is as good as one that does not, simulated.

Each simulated world, on each data set, is searched from nothing and with what the recorded trials on the other data
set teach, with and without their scores shuffled. Epochs and trials are counted until the best score is the one that
searches from nothing have, on average over two of them, after so many epochs.
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks.recorded_pool import DATA_SETS, Trial, photos_of, read_pool
from tests.benchmarks.simulation.methods import METHODS, Method
from tests.benchmarks.simulation.simulator import SimulatedStudy, SimulatedTrial
from tests.benchmarks.simulation.surrogate import Surrogate

COMPARED = (
    "promote at 1, 3 and 9, TPE (now)",
    "promote, TPE, learning from the other data set",
    "promote, TPE, learning from nonsense",
)
GOALS = (100, 150, 200)  # epochs of the searches from nothing
MOST_EPOCHS = 300
SEARCHES = 2  # of each kind in each world


@dataclass(frozen=True)
class Search:
    """A simulated search: its best score, and the number of its trials, after each epoch that was trained."""

    method: str
    data: str
    slots: int
    world: int
    number: int
    best: list[float]
    trials: list[int]

    def spent_until(self, score: float) -> tuple[int, int]:
        """Return the epochs and the trials until the best score was this one, or all where it was not."""
        epoch = next((epoch for epoch, best in enumerate(self.best) if best >= score), len(self.best) - 1)
        return epoch + 1, self.trials[epoch]


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=5, help="simulated worlds (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 4], help="side by side (%(default)s)")
    parser.add_argument("--keep", type=Path, help="a file that each simulated search adds a line to, and that is read")


def run(options: argparse.Namespace, console: Console) -> None:
    """Simulate, and print a table for each data set and number of slots."""
    pools = {name: read_pool(name) for name in DATA_SETS}
    surrogate = Surrogate(list(pools.values()))
    methods = {method.name: method for method in METHODS}
    searches = _kept(options.keep)
    done = {(one.method, one.data, one.slots, one.world, one.number) for one in searches}
    worlds = range(options.first_seed, options.first_seed + options.seeds)
    for key in itertools.product(worlds, COMPARED, DATA_SETS, options.slots, range(SEARCHES)):
        world, name, data, slots, number = key
        if (name, data, slots, world, number) in done:
            continue
        others = [
            trial for other, pool in pools.items() if photos_of(other) != photos_of(data) for trial in pool.trials
        ]
        searches.append(_simulate(methods[name], data, slots, world, number, surrogate, others))
        if options.keep:
            with options.keep.open("a") as file:
                file.write(json.dumps(asdict(searches[-1])) + "\n")
    for data, slots in itertools.product(DATA_SETS, options.slots):
        found = [one for one in searches if (one.data, one.slots) == (data, slots)]
        _print_table(f"{data}, {slots} at a time", found, console)


def _simulate(
    method: Method, data: str, slots: int, world: int, number: int, surrogate: Surrogate, others: Sequence[Trial]
) -> Search:
    scheduler, searcher = method.start(1000 * number + world, slots, others)
    curve = lambda params: surrogate.curve(data, params, world)  # noqa: E731
    study = SimulatedStudy(searcher, scheduler, curve=curve, slots=slots)
    best, trials = [0.0], [0]

    def enough(study: SimulatedStudy, trial: SimulatedTrial) -> bool:
        best.append(max(best[-1], float(trial.miou[trial.epoch - 1])))
        trials.append(len(study.trials))
        return study.epochs_spent >= MOST_EPOCHS

    study.run(enough)
    return Search(method.name, data, slots, world, number, [round(one, 4) for one in best[1:]], trials[1:])


def _kept(path: Path | None) -> list[Search]:
    if path is None or not path.exists():
        return []
    return [Search(**json.loads(line)) for line in path.read_text().splitlines()]


def _print_table(title: str, searches: Sequence[Search], console: Console) -> None:
    """Print medians over all searches, and the geometric mean of the shares in single worlds, with its error."""
    of = {}
    for one in searches:
        of.setdefault((one.method, one.world), []).append(one)
    worlds = [world for world in {one.world for one in searches} if all((name, world) in of for name in COMPARED)]
    table = Table(title=f"{title}: epochs (trials) until the best of a search from nothing")
    goals = [f"after {epochs}" for epochs in GOALS]
    for heading in ("search", *goals, "share of epochs", "of trials", "best after 200"):
        table.add_column(heading)
    cold = np.array([_spent(of[COMPARED[0], world], of[COMPARED[0], world]) for world in worlds])
    for name in COMPARED:
        spent = np.array([_spent(of[name, world], of[COMPARED[0], world]) for world in worlds])
        cells = [f"{epochs:.0f} ({trials:.0f})" for epochs, trials in np.median(spent, axis=(0, 1))]
        shares = (np.log(spent) - np.log(cold).mean(1, keepdims=True)).mean((1, 2))  # worlds, (epochs, trials)
        wide = np.exp(shares.std(0) / np.sqrt(len(worlds)))
        cells += [f"{np.exp(mean):.2f} ×/÷ {error:.2f}" for mean, error in zip(shares.mean(0), wide)]
        best = np.mean([one.best[GOALS[-1] - 1] for world in worlds for one in of[name, world]])
        table.add_row(name, *cells, f"{best:.4f}")
    console.print(table)
    console.print(
        f"{len(worlds)} worlds, {SEARCHES} searches in each; a best that was not reached counts as {MOST_EPOCHS}"
    )


def _spent(searches: Sequence[Search], cold: Sequence[Search]) -> np.ndarray:
    """Return the epochs and trials until each goal that the `cold` searches set, (searches, goals, 2)."""
    goals = [np.mean([one.best[epochs - 1] for one in cold]) for epochs in GOALS]
    return np.array([[one.spent_until(goal) for goal in goals] for one in searches])
