"""Which selection is best on photos of new scenes: simulated pools selected on some films, scored on others.

Each scene is a film of images that share most of what they hold and of what makes candidates err. The candidates are
selected on the films of the holdout and scored on those of the test. Differences to greedy are in points of mIoU, of
the same pool and holdout; their standard error is over pools, since holdouts of one pool share the candidates.
"""

import argparse
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling import select_ensemble
from ensembling.assessment.top_k import ImageRuns, growing_counts
from ensembling.scores import miou_from_counts
from tests.benchmarks.vote.pools import Pool, make_pool

Votes = dict[int, int]


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pools", type=int, default=12, help="simulated studies (%(default)s)")
    parser.add_argument("--draws", type=int, default=3, help="holdouts in each (%(default)s)")
    parser.add_argument("--candidates", type=int, default=24, help="in each (%(default)s)")
    parser.add_argument("--scenes", type=int, nargs="+", default=[3, 8], help="of a holdout (%(default)s)")
    parser.add_argument("--film", type=int, default=8, help="images of a scene (%(default)s)")
    parser.add_argument("--unseen", type=int, default=60, help="scenes of the test (%(default)s)")
    parser.add_argument("--size", type=int, default=32, help="height and width of an image (%(default)s)")


def run(options: argparse.Namespace, console: Console) -> None:
    found: dict[tuple[int, str], list[list[tuple[float, float, int]]]] = {}
    most = max(options.scenes)
    for seed in range(options.pools):
        seen = options.draws * most * options.film
        images = seen + options.unseen * options.film
        size = (options.size, options.size)
        whole = make_pool(seed, options.candidates, images, size, film=options.film)
        training, unseen = whole.cut(seen)
        for scenes in options.scenes:
            for name, choose in SELECTIONS.items():
                scores = []
                for draw in range(options.draws):
                    start = draw * most * options.film
                    holdout = training.cut(start)[1].cut(start + scenes * options.film)[0]
                    votes = choose(holdout, holdout.image_ids // options.film)
                    scores.append((_score(holdout, votes), _score(unseen, votes), len(votes)))
                found.setdefault((scenes, name), []).append(scores)
    console.print(
        f"{options.pools} pools of {options.candidates} candidates, {options.draws} holdouts in each, "
        f"{options.unseen} unseen scenes; {options.film} images of {options.size} x {options.size} in a scene",
        highlight=False,
    )
    console.print(_table(found))


def _score(pool: Pool, votes: Votes) -> float:
    """mIoU of the vote on the pool; `votes` are in rank order."""
    counts = _counts(pool, votes, ImageRuns.of(np.zeros(pool.target.size, np.int8)))
    return float(miou_from_counts(counts[0]))


def _counts(pool: Pool, votes: Votes, runs: ImageRuns) -> np.ndarray:
    """Counts of the vote in each unit of `runs`: int64 (units, 3, classes)."""
    rows, weights = [pool.predictions[index] for index in votes], list(votes.values())
    return growing_counts(rows, pool.target, pool.num_classes, runs, [len(rows) - 1], weights=weights)[1][0]


def _by(mode: str, max_members: int = 15) -> Callable[[Pool, np.ndarray], Votes]:
    def choose(pool: Pool, scene_of_pixel: np.ndarray) -> Votes:
        problem = (pool.predictions, pool.target, pool.num_classes)
        found = select_ensemble(*problem, mode=mode, max_members=max_members, image_ids=scene_of_pixel)
        return dict(zip(found.members, found.weights))

    return choose


def _within_one_error(pool: Pool, scene_of_pixel: np.ndarray) -> Votes:
    """The shortest prefix of greedy's path whose mIoU is within one standard error, over scenes, of the best one."""
    found = select_ensemble(pool.predictions, pool.target, pool.num_classes, image_ids=scene_of_pixel)
    runs, order = ImageRuns.of(scene_of_pixel), {index: rank for rank, index in enumerate(found.ranking)}
    prefixes = [sorted(found.path[:length], key=order.get) for length in range(1, len(found.members) + 1)]
    counts = [_counts(pool, dict.fromkeys(prefix, 1), runs) for prefix in prefixes]
    scores = np.array([miou_from_counts(one.sum(axis=0)) for one in counts])
    best = int(np.argmax(scores))
    for prefix, one, score in zip(prefixes, counts, scores):
        left_out = [miou_from_counts(each.sum(axis=0) - each) for each in (counts[best], one)]
        loss = left_out[0] - left_out[1]
        units = len(loss)
        if scores[best] - score <= np.sqrt((units - 1) / units * ((loss - loss.mean()) ** 2).sum()):
            return dict.fromkeys(prefix, 1)
    raise AssertionError("the best prefix is within any error of itself")


def _best(size: int) -> Callable[[Pool, np.ndarray], Votes]:
    def choose(pool: Pool, scene_of_pixel: np.ndarray) -> Votes:
        found = select_ensemble(pool.predictions, pool.target, pool.num_classes, max_members=1)
        return dict.fromkeys(found.ranking[:size], 1)

    return choose


SELECTIONS: dict[str, Callable[[Pool, np.ndarray], Votes]] = {
    "greedy": _by("greedy"),
    "greedy, at most 5": _by("greedy", 5),
    "greedy, at most 9": _by("greedy", 9),
    "one standard error": _within_one_error,
    "bags of scenes": _by("bagged_images"),
    "bags of runs": _by("bagged_runs"),
    "replacement": _by("replacement"),
    "swap": _by("swap"),
    "top 5": _best(5),
    "top 10": _best(10),
    "best single": _best(1),
}


def _table(found: dict[tuple[int, str], list[list[tuple[float, float, int]]]]) -> Table:
    table = Table("scenes", "selection")
    for column in ("members", "holdout mIoU", "unseen mIoU", "unseen, over greedy", "±"):
        table.add_column(column, justify="right")
    for (scenes, name), pools in found.items():
        scores = np.array(pools, float)
        gain = 100 * (scores[:, :, 1] - np.array(found[scenes, "greedy"])[:, :, 1]).mean(axis=1)
        table.add_row(
            str(scenes),
            name,
            f"{scores[:, :, 2].mean():.1f}",
            f"{100 * scores[:, :, 0].mean():.2f}",
            f"{100 * scores[:, :, 1].mean():.2f}",
            f"{gain.mean():+.2f}",
            f"{gain.std(ddof=1) / np.sqrt(len(gain)):.2f}" if len(gain) > 1 else "",
        )
    return table
