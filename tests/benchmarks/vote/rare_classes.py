"""Whether 95 % intervals hold the truth with rare classes: simulated holdouts with a class in 3, 6, 12 and 25 photos.

A vote's counts are taken once on a large population of photos. A holdout has a fixed number of photos with one rare
class, the others at random, among them those with the other rare classes; the truth is the mIoU on the population.
Percentiles of the bootstrap stand beside the interval that the report gives.
"""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling.assessment.bootstrap import bootstrap_mious, influence, interval
from ensembling.assessment.top_k import ImageRuns, growing_counts
from ensembling.scores import miou_from_counts
from tests.benchmarks.vote.pools import make_pool

PHOTOS = (3, 6, 12, 25)
CLASSES = 11


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pools", type=int, default=6, help="simulated populations (%(default)s)")
    parser.add_argument("--draws", type=int, default=150, help="holdouts in each, for each class (%(default)s)")
    parser.add_argument("--holdout", type=int, default=100, help="photos of a holdout (%(default)s)")
    parser.add_argument("--photos", type=int, default=3000, help="photos of a population (%(default)s)")
    parser.add_argument("--members", type=int, default=7, help="of the vote (%(default)s)")
    parser.add_argument("--size", type=int, default=32, help="height and width of a photo (%(default)s)")
    parser.add_argument("--bootstrap", type=int, default=1000, help="draws of each bootstrap (%(default)s)")


def run(options: argparse.Namespace, console: Console) -> None:
    found: dict[tuple[int, str], list[tuple[bool, bool, float]]] = {}
    for seed in range(options.pools):
        population = _population(1000 + seed, options)
        truth = float(miou_from_counts(population.sum(axis=0)))
        for place, photos in enumerate(PHOTOS):
            rng = np.random.default_rng([seed, photos])
            for _ in range(options.draws):
                holdout = _holdout(population, rng, photos, CLASSES - 1 - place, options.holdout)
                for name, (low, high) in _intervals(holdout, options.bootstrap).items():
                    found.setdefault((photos, name), []).append((truth < low, truth > high, high - low))
    console.print(
        f"{options.pools} populations of {options.photos} photos, {options.draws} holdouts of {options.holdout} in "
        f"each and for each class; the vote of {options.members}",
        highlight=False,
    )
    console.print(_table(found))


def _population(seed: int, options: argparse.Namespace) -> np.ndarray:
    """Counts of a vote, photo by photo: int64 (photos, 3, classes); the last class is the rarest."""
    rare = [photos / options.holdout for photos in reversed(PHOTOS)]
    pool = make_pool(seed, options.members, options.photos, (options.size, options.size), CLASSES, rare)
    runs = ImageRuns.of(pool.image_ids)
    return growing_counts(pool.predictions, pool.target, CLASSES, runs, [options.members - 1])[1][0]


def _holdout(population: np.ndarray, rng: np.random.Generator, photos: int, class_id: int, size: int) -> np.ndarray:
    """A holdout with so many photos of that class, and at least one of each class."""
    has = population[:, 2, class_id] > 0
    while True:
        those = rng.choice(np.flatnonzero(has), photos, replace=False)
        others = rng.choice(np.flatnonzero(~has), size - photos, replace=False)
        holdout = population[np.concatenate([those, others])]
        if (holdout[:, 2] > 0).any(axis=0).all():
            return holdout


def _intervals(holdout: np.ndarray, draws: int) -> dict[str, tuple[float, float]]:
    value = float(miou_from_counts(holdout.sum(axis=0)))
    drawn = bootstrap_mious(holdout[None], 0, draws)[:, 0]
    ours = interval(value, drawn, influence(holdout), (holdout[:, 2] > 0).sum(axis=0))
    error = ours.standard_error
    return {
        "percentiles": tuple(np.quantile(drawn, [0.025, 0.975])),
        "± 1.96 standard errors": (value - 1.96 * error, value + 1.96 * error),
        "the report's": (ours.low, ours.high),
    }


def _table(found: dict[tuple[int, str], list[tuple[bool, bool, float]]]) -> Table:
    table = Table("photos with the class", "interval")
    for column in ("holds the truth", "truth below", "truth above", "half its width, points"):
        table.add_column(column, justify="right")
    for (photos, name), ones in found.items():
        below, above, width = np.array(ones, float).mean(axis=0)
        shares = (f"{100 * share:.1f} %" for share in (1 - below - above, below, above))
        table.add_row(str(photos), name, *shares, f"{50 * width:.2f}")
    return table
