"""How many GPU-epochs ways to search need until they are as good as a large pool, simulated without training.

The searcher and the scheduler are those of search/tuning; what a trial scores comes from recorded learning curves, and
for configurations that were not recorded from a surrogate. As good means: within half a point of the best of 150
configurations that are drawn at random in the same world and trained to their ends, and of the best vote of them.
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
from tests.benchmarks.recorded_pool import DATA_SETS, Trial, photos_of, read_pool
from tests.benchmarks.recording.space import EPOCHS
from tests.benchmarks.simulation.made_maps import MadeMaps
from tests.benchmarks.simulation.methods import METHODS, Method
from tests.benchmarks.simulation.simulator import SimulatedStudy, SimulatedTrial
from tests.benchmarks.simulation.surrogate import Surrogate
from tests.benchmarks.simulation.world import World

CLOSE = 0.005  # mIoU: half a point below the best is as good
MOST_EPOCHS = 4000  # of a study that does not come there
BEFORE = "stop at 2 and 6, univariate TPE (before)"
"""The method that others are compared with."""


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
    """Watches a study, and notes when each goal of its world was reached.

    Trials can vote from `last_rung` on, the epoch at which the search predicts the holdout first.
    """

    def __init__(self, world: World, last_rung: int) -> None:
        self._world, self._last_rung = world, last_rung
        self._aims = {"single": world.best_single - CLOSE, "vote": world.best_vote - CLOSE}
        self.reached: dict[str, tuple[int, float]] = {}
        self._voters: dict[int, tuple[float, np.ndarray]] = {}

    def enough(self, study: SimulatedStudy, trial: SimulatedTrial) -> bool:
        score = float(trial.miou[: trial.epoch].max())
        if score >= self._aims["single"]:
            self._note("single", study)
        if "vote" not in self.reached and trial.epoch in (self._last_rung, EPOCHS):
            self._voters[trial.number] = score, self._world.made_maps(score, trial.number)
            if self._world.vote(self._voters) >= self._aims["vote"]:
                self._note("vote", study)
        return len(self.reached) == 2 or study.epochs_spent >= MOST_EPOCHS

    def _note(self, goal: str, study: SimulatedStudy) -> None:
        self.reached.setdefault(goal, (study.epochs_spent, study.seconds_spent))


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
    _describe(surrogate, maps, console)
    spent = _kept(options.keep)
    done = {(one.method, one.data, one.slots, one.seed) for one in spent}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    fewest = {}
    for seed, name in itertools.product(seeds, DATA_SETS):
        world = World(surrogate, maps[name], seed)
        fewest[name, seed] = world.fewest_epochs(CLOSE)
        others = [trial for pool in pools if photos_of(pool.name) != photos_of(name) for trial in pool.trials]
        for method, slots in itertools.product(methods, options.slots):
            if (method.name, name, slots, seed) in done:
                continue
            spent.append(simulate(method, world, slots, others))
            if options.keep:
                with options.keep.open("a") as file:
                    file.write(json.dumps(asdict(spent[-1])) + "\n")
    for name in DATA_SETS:
        _print_table(name, [one for one in spent if one.data == name], options.slots, console)
    _print_ratios(spent, options.slots, console)
    _print_bound(spent, fewest, options.slots, console)


def simulate(method: Method, world: World, slots: int, others: Sequence[Trial]) -> Spent:
    """Return what one study spent; `others` are trials on other data, for the methods that learn from them."""
    scheduler, searcher = method.start(world.seed, slots, others)
    study = SimulatedStudy(searcher, scheduler, curve=world.curve, slots=slots)
    goals = Goals(world, method.last_rung)
    study.run(goals.enough)
    none = (None, None)
    (single, single_s), (vote, vote_s) = (goals.reached.get(goal, none) for goal in ("single", "vote"))
    return Spent(method.name, world.maps.pool.name, slots, world.seed, single, vote, single_s, vote_s)


def _describe(surrogate: Surrogate, maps: dict[str, MadeMaps], console: Console) -> None:
    """Print how far the surrogate and the made class maps are from what was recorded."""
    for name, (error, mean, rank) in surrogate.errors().items():
        pool = maps[name].pool
        recorded = _best_vote([np.ascontiguousarray(one[maps[name].rows]) for one in pool.predictions], maps[name])
        scores = list(enumerate(maps[name].scores))
        made = [_best_vote([maps[name].make(score, [seed, n]) for n, score in scores], maps[name]) for seed in range(5)]
        console.print(
            f"{name}: {len(pool.trials)} recorded trials, the best of which scores {max(maps[name].scores):.4f}. The "
            f"best vote scores {recorded:.4f} with recorded class maps, {np.mean(made):.4f} with made ones. The "
            f"surrogate misses the best score of a trial that is left out by {error:.1f} points (root mean square; the "
            f"mean of the others misses it by {mean:.1f}), rank correlation {rank:.2f}.",
            soft_wrap=True,
        )


def _best_vote(rows: list[np.ndarray], maps: MadeMaps) -> float:
    return select_ensemble(rows, maps.target, maps.pool.num_classes, max_members=15).miou


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
        for method in dict.fromkeys(one.method for one in spent):
            rows = [[one for one in spent if (one.method, one.slots) == (method, count)] for count in slots]
            table.add_row(method, *(_cell(row, goal) for row in rows))
        console.print(table)
    seeds = {one.seed for one in spent}
    console.print(f"{len(seeds)} worlds; a goal that was not reached counts as {MOST_EPOCHS} epochs")


def _print_ratios(spent: Sequence[Spent], slots: Sequence[int], console: Console) -> None:
    """Print what each method spent of what BEFORE spent in the same worlds: geometric means with 95 % intervals.

    GPU-seconds are compared in the worlds alone where both reached the goal.
    """
    known = {(one.method, one.data, one.slots, one.seed): one for one in spent}
    for goal in ("single", "vote", "single_s"):
        table = Table(
            title=f"{'GPU-seconds' if goal.endswith('_s') else 'GPU-epochs'} to the {goal.removesuffix('_s')}"
        )
        table.add_column(f"share of: {BEFORE}")
        for count in slots:
            table.add_column(f"{count} slots", justify="right")
        for method in dict.fromkeys(one.method for one in spent):
            cells = []
            for count in slots:
                pairs = [
                    (_value(one, goal), _value(before, goal))
                    for one in spent
                    if (one.method, one.slots) == (method, count)
                    and (before := known.get((BEFORE, one.data, count, one.seed)))
                    and not (goal.endswith("_s") and None in (getattr(one, goal), getattr(before, goal)))
                ]
                cells.append(_ratio(np.log([own / before for own, before in pairs])))
            table.add_row(method, *cells)
        console.print(table)


def _print_bound(
    spent: Sequence[Spent], fewest: dict[tuple[str, int], int], slots: Sequence[int], console: Console
) -> None:
    """Print the share of BEFORE of a search that knows the pool's curves and begins with the trial that is first there.

    All slots are at work until then, at the pace of that trial.
    """
    for count in slots:
        before = [one for one in spent if (one.method, one.slots) == (BEFORE, count) and (one.data, one.seed) in fewest]
        logs = np.log([count * fewest[one.data, one.seed] / _value(one, "single") for one in before])
        if cell := _ratio(logs):
            console.print(f"{count} slots: a search that knows the pool's curves beforehand needs {cell} to the single")


def _ratio(logs: np.ndarray) -> str:
    if len(logs) < 2:
        return ""
    error = 1.96 * logs.std(ddof=1) / np.sqrt(len(logs))
    low, mean, high = np.exp([logs.mean() - error, logs.mean(), logs.mean() + error])
    return f"{mean:.2f} ({low:.2f}–{high:.2f})"


def _value(one: Spent, goal: str) -> float:
    """Return what was spent; MOST_EPOCHS, a lower bound, where the goal was not reached."""
    value = getattr(one, goal)
    return MOST_EPOCHS if value is None else value


def _cell(spent: Sequence[Spent], goal: str) -> str:
    if not spent:
        return ""
    values = [_value(one, goal) for one in spent]
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{middle:.0f} ({low:.0f}–{high:.0f})"
