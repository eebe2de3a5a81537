"""What a selection promises and what unseen images then give: simulated pools, for every mode and size of holdout.

A pool is one study: its candidates are selected on a holdout of a few images and scored on many others. Differences are
in points of mIoU; mean and standard deviation are over pools.
"""

import argparse
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling import Selection, select_ensemble
from ensembling.assessment.assess import assess
from ensembling.assessment.top_k import ImageRuns, growing_counts
from ensembling.scores import miou_from_counts
from tests.benchmarks.vote.pools import Pool, make_pool

MODES = ("greedy", "swap", "beam", "bagged_images", "bagged_runs", "replacement")


@dataclass(frozen=True)
class Promise:
    """One selection: mIoU on its holdout, cross-fitted and on unseen images, and the gain over the best single run."""

    members: int
    miou: tuple[float, float, float]
    gain: tuple[float, float, float]
    error: float  # the cross-fitted mIoU's standard error, as the report states it


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pools", type=int, default=12, help="simulated studies (%(default)s)")
    parser.add_argument("--draws", type=int, default=4, help="holdouts of each size in each (%(default)s)")
    parser.add_argument("--candidates", type=int, default=24, help="in each (%(default)s)")
    parser.add_argument("--holdouts", type=int, nargs="+", default=[20, 60, 200], help="images (%(default)s)")
    parser.add_argument("--unseen", type=int, default=2000, help="images (%(default)s)")
    parser.add_argument("--size", type=int, default=32, help="height and width of an image (%(default)s)")
    parser.add_argument("--max-members", type=int, default=15, help="(%(default)s)")
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES, help="(all but exhaustive)")


def run(options: argparse.Namespace, console: Console) -> None:
    promises: dict[tuple[int, str], list[Promise]] = {}
    most = max(options.holdouts)
    for seed in range(options.pools):
        images = options.draws * most + options.unseen
        pool = make_pool(seed, options.candidates, images, (options.size, options.size))
        seen, unseen = pool.cut(options.draws * most)
        for draw in range(options.draws):
            rest = seen.cut(draw * most)[1]
            for images in options.holdouts:
                holdout = rest.cut(draw * most + images)[0]
                for mode in options.modes:
                    select = partial(select_ensemble, mode=mode, max_members=options.max_members)
                    promises.setdefault((images, mode), []).append(_promise(holdout, unseen, select))
    console.print(
        f"{options.pools} pools of {options.candidates} candidates, {options.draws} holdouts of each size in each, "
        f"{options.unseen} unseen images of {options.size} x {options.size}; at most {options.max_members} members",
        highlight=False,
    )
    console.print(_table(promises))


def _promise(holdout: Pool, unseen: Pool, select: partial[Selection]) -> Promise:
    problem = (holdout.predictions, holdout.target, holdout.num_classes)
    selection = select(*problem, image_ids=holdout.image_ids)
    worth = assess(selection, *problem, holdout.image_ids)
    truth = _score(unseen, selection.members, selection.weights)
    gains = worth.gains["best_single"].value, worth.crossfit_gains["best_single"].value
    return Promise(
        members=len(selection.members),
        miou=(selection.miou, selection.crossfit_miou, truth),
        gain=(*gains, truth - _score(unseen, selection.ranking[:1], (1,))),
        error=worth.crossfit_miou.standard_error,
    )


def _score(pool: Pool, members: tuple[int, ...], weights: tuple[int, ...]) -> float:
    """mIoU of the members' vote on the pool."""
    rows, runs = [pool.predictions[index] for index in members], ImageRuns.of(np.zeros(pool.target.size, np.int8))
    counts, _ = growing_counts(rows, pool.target, pool.num_classes, runs, [], weights=weights)
    return float(miou_from_counts(counts[-1]))


def _table(promises: dict[tuple[int, str], list[Promise]]) -> Table:
    table = Table("holdout", "mode", "members", "unseen mIoU")
    for column in ("selected, off by", "cross-fitted, off by", "its ±", "within 2 ±"):
        table.add_column(column, justify="right")
    for column in ("gain, selected", "cross-fitted", "unseen"):
        table.add_column(column, justify="right")
    for (images, mode), some in promises.items():
        miou, gain = (100 * np.array([getattr(one, name) for one in some]) for name in ("miou", "gain"))
        error = 100 * np.array([one.error for one in some])
        table.add_row(
            str(images),
            mode,
            f"{np.mean([one.members for one in some]):.1f}",
            f"{miou[:, 2].mean():.2f}",
            _spread(miou[:, 0] - miou[:, 2]),
            _spread(miou[:, 1] - miou[:, 2]),
            f"{error.mean():.2f}",
            f"{100 * np.mean(abs(miou[:, 1] - miou[:, 2]) <= 2 * error):.0f} %",
            *(f"{gain[:, place].mean():+.2f}" for place in range(2)),
            _spread(gain[:, 2]),
        )
    return table


def _spread(points: np.ndarray) -> str:
    """Mean and standard deviation."""
    return f"{points.mean():+.2f} ± {points.std(ddof=1):.2f}"
