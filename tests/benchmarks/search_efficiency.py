"""How many GPU-epochs ways to search need until they are as good as the recorded pool, simulated without training.

The searcher and the scheduler are those of search/tuning; what a trial scores comes from recorded learning curves, and
for configurations that were not recorded from a surrogate.
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

from ensembling import select_ensemble
from search.tuning.schedulers.rungs import default_grace_period, rungs
from tests.benchmarks.recorded_pool import DATA_SETS, RecordedPool, Trial, read_pool
from tests.benchmarks.recording.space import EPOCHS
from tests.benchmarks.simulation.made_maps import MadeMaps
from tests.benchmarks.simulation.methods import FACTOR, METHODS, Method
from tests.benchmarks.simulation.simulator import SimulatedStudy, SimulatedTrial
from tests.benchmarks.simulation.surrogate import Surrogate

CLOSE = 0.005  # mIoU: half a point below the pool's best is as good
MOST_EPOCHS = 4000  # of a study that does not come there
MOST_VOTERS = 24  # the best ones, at most
LAST_RUNG = rungs(EPOCHS, default_grace_period(EPOCHS, FACTOR), FACTOR)[-1]


@dataclass(frozen=True)
class Spent:
    """GPU-epochs (and GPU-seconds) until the best single and the vote were reached; None where they were not."""

    method: str
    data: str
    slots: int
    seed: int
    single: int | None
    vote: int | None
    single_s: float | None
    vote_s: float | None


class Goals:
    """Watches a study on one data set, and notes when each goal was reached."""

    def __init__(self, maps: MadeMaps, single: float, vote: float, seed: int) -> None:
        self._maps, self._seed = maps, seed
        self._aims = {"single": single - CLOSE, "vote": vote - CLOSE}
        self.reached: dict[str, tuple[int, float]] = {}
        self._voters: dict[int, tuple[float, np.ndarray]] = {}

    def enough(self, study: SimulatedStudy, trial: SimulatedTrial) -> bool:
        score = float(trial.miou[: trial.epoch].max())
        if score >= self._aims["single"]:
            self._note("single", study)
        if "vote" not in self.reached and trial.epoch in (LAST_RUNG, EPOCHS):
            self._voters[trial.number] = score, self._maps.make(score, [self._seed, trial.number])
            if self._vote() >= self._aims["vote"]:
                self._note("vote", study)
        return len(self.reached) == 2 or study.epochs_spent >= MOST_EPOCHS

    def _note(self, goal: str, study: SimulatedStudy) -> None:
        self.reached.setdefault(goal, (study.epochs_spent, study.seconds_spent))

    def _vote(self) -> float:
        best = sorted(self._voters.values(), key=lambda voter: -voter[0])[:MOST_VOTERS]
        rows = [maps for _, maps in best]
        return select_ensemble(rows, self._maps.target, self._maps.pool.num_classes, max_members=15).miou


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=5, help="studies of each kind (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4, 16], help="side by side (%(default)s)")
    parser.add_argument("--methods", nargs="+", default=[""], help="only those whose names contain one of these")
    parser.add_argument("--keep", type=Path, help="a file that each simulated study adds a line to, and that is read")


def run(options: argparse.Namespace, console: Console) -> None:
    """Simulate, and print a table for each data set."""
    pools = [read_pool(name) for name in DATA_SETS]
    surrogate = Surrogate(pools)
    methods = [method for method in METHODS if any(part in method.name for part in options.methods)]
    maps = {pool.name: MadeMaps.of(pool) for pool in pools}
    aims = {pool.name: _aims(maps[pool.name], pool, console) for pool in pools}
    for name, (error, mean, rank) in surrogate.errors().items():
        console.print(
            f"{name}: the surrogate misses the best score of a trial that is left out by {error:.1f} points (root mean "
            f"square; the mean of the others misses it by {mean:.1f}), rank correlation {rank:.2f}",
            soft_wrap=True,
        )
    spent = _kept(options.keep)
    done = {(one.method, one.data, one.slots, one.seed) for one in spent}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for seed, method, slots, name in itertools.product(seeds, methods, options.slots, DATA_SETS):
        if (method.name, name, slots, seed) in done:
            continue
        others = [trial for pool in pools if pool.name != name for trial in pool.trials]
        spent.append(simulate(method, name, slots, seed, surrogate, maps[name], aims[name], others))
        if options.keep:
            with options.keep.open("a") as file:
                file.write(json.dumps(asdict(spent[-1])) + "\n")
    for name in DATA_SETS:
        _print_table(name, [one for one in spent if one.data == name], options.slots, console)


def simulate(
    method: Method,
    data: str,
    slots: int,
    seed: int,
    surrogate: Surrogate,
    maps: MadeMaps,
    aims: tuple[float, float],
    others: Sequence[Trial],
) -> Spent:
    """Return what one study spent."""
    scheduler, searcher = method.start(seed, slots, others)
    study = SimulatedStudy(
        searcher,
        scheduler,
        curve=lambda params: surrogate.curve(data, params, world=seed),
        slots=slots,
    )
    goals = Goals(maps, *aims, seed)
    study.run(goals.enough)
    none = (None, None)
    (single, single_s), (vote, vote_s) = (goals.reached.get(goal, none) for goal in ("single", "vote"))
    return Spent(method.name, data, slots, seed, single, vote, single_s, vote_s)


def _aims(maps: MadeMaps, pool: RecordedPool, console: Console) -> tuple[float, float]:
    """Return the best single score of the pool, and the best vote of maps that are made of its scores."""
    single = max(max(trial.miou) for trial in pool.trials)
    count = lambda rows: select_ensemble(rows, maps.target, pool.num_classes, max_members=15).miou  # noqa: E731
    recorded = count([np.ascontiguousarray(one[maps.rows]) for one in pool.predictions])
    votes = [count([maps.make(score, [seed, n]) for n, score in enumerate(maps.scores)]) for seed in range(5)]
    console.print(
        f"{pool.name}: best single {single:.4f}; best vote {recorded:.4f} of recorded maps, {np.mean(votes):.4f} of "
        "made ones, which is the goal",
        soft_wrap=True,
    )
    return single, float(np.mean(votes))


def _kept(path: Path | None) -> list[Spent]:
    if path is None or not path.exists():
        return []
    return [Spent(**json.loads(line)) for line in path.read_text().splitlines()]


def _print_table(name: str, spent: Sequence[Spent], slots: Sequence[int], console: Console) -> None:
    for goal in ("single", "vote"):
        table = Table(title=f"{name}: GPU-epochs to the {goal}, median (5 % to 95 %)")
        table.add_column("method")
        for count in slots:
            table.add_column(f"{count} slots", justify="right")
        table.add_column("of today's", justify="right")
        for method in dict.fromkeys(one.method for one in spent):
            rows = [[one for one in spent if (one.method, one.slots) == (method, count)] for count in slots]
            today = [[one for one in spent if "today" in one.method and one.slots == count] for count in slots]
            ratios = [_median(row, goal) / _median(base, goal) for row, base in zip(rows, today) if row and base]
            of = " ".join(f"{ratio:.2f}" for ratio in ratios)
            table.add_row(method, *(_cell(row, goal) for row in rows), of)
        console.print(table)
    seeds = {one.seed for one in spent}
    console.print(f"{len(seeds)} seeds; a goal that was not reached counts as {MOST_EPOCHS} epochs")


def _values(spent: Sequence[Spent], goal: str) -> list[float]:
    return [MOST_EPOCHS if getattr(one, goal) is None else getattr(one, goal) for one in spent]


def _median(spent: Sequence[Spent], goal: str) -> float:
    return float(np.median(_values(spent, goal)))


def _cell(spent: Sequence[Spent], goal: str) -> str:
    if not spent:
        return ""
    low, high = np.quantile(_values(spent, goal), [0.05, 0.95])
    return f"{_median(spent, goal):.0f} ({low:.0f}–{high:.0f})"
