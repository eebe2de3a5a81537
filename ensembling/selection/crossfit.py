"""What an ensemble will score on images that it was not selected on: the cross-fitted mIoU.

Selecting on a split flatters the score on it. Here the holdout's images are cut in folds; ranks and members are chosen
on all folds but one and vote on that one; one confusion is pooled over all folds, and one mIoU taken of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.assessment.top_k import ImageRuns
from ensembling.counting.table import VoteTable
from ensembling.scores import miou_from_counts

CROSSFIT_FOLDS = 5


@dataclass(frozen=True)
class CrossFit:
    """`members[f]` were chosen on all folds but f, from the candidates as those folds rank them: `rankings[f]`.

    Candidates are named by their index; members are in rank order, and cast as many votes as their weights say.
    """

    members: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[int, ...], ...]
    rankings: tuple[tuple[int, ...], ...]


def fold_of_images(num_images: int, seed: int, max_folds: int = CROSSFIT_FOLDS) -> tuple[np.ndarray, int]:
    """Cross-fit fold of each image, uint8 (num_images,), and the number of folds: at most one an image.

    The images (in the order of their sorted ids) are shuffled by `seed` and dealt out in turn.
    """
    num_folds = max(1, min(max_folds, num_images))
    folds = np.empty(num_images, np.uint8)
    folds[np.random.default_rng(seed).permutation(num_images)] = np.arange(num_images) % num_folds
    return folds, num_folds


def fold_of_pixels(image_ids: np.ndarray, seed: int, max_folds: int = CROSSFIT_FOLDS) -> tuple[np.ndarray, int]:
    """Cross-fit fold of each pixel, uint8 (pixels,), and the number of folds.

    `image_ids` (pixels,) names the image of each pixel. The folds depend on the set of ids and `seed` alone, not on
    the order or the size of the images.
    """
    runs = ImageRuns.of(image_ids)
    folds, num_folds = fold_of_images(runs.num_images, seed, max_folds)
    return np.repeat(folds[runs.images], runs.stops - runs.starts), num_folds


def crossfit(
    table_for: Callable[[Sequence[int]], VoteTable],
    num_folds: int,
    select: Callable[[VoteTable, Sequence[int]], Mapping[int, int]],
) -> tuple[float, CrossFit]:
    """mIoU of votes on folds that their members were not selected on, and who votes.

    NaN and nobody with fewer than two folds.

    `table_for(folds)` has the candidates that may be chosen on `folds`, and counts them on all folds; `select(table,
    folds)` chooses on `folds` alone and returns the number of votes of each member's rank. It may rerank the table.
    """
    if num_folds < 2:
        return float("nan"), CrossFit((), (), ())
    counts, voters = [], []
    for held_out in range(num_folds):
        folds = [fold for fold in range(num_folds) if fold != held_out]
        # The table is not kept here: the next may need its room.
        counted, *names = _hold_out(table_for(folds), folds, held_out, select)
        counts.append(counted)
        voters.append(names)
    return float(miou_from_counts(np.sum(counts, axis=0))), CrossFit(*zip(*voters, strict=True))


def _hold_out(
    table: VoteTable,
    folds: Sequence[int],
    held_out: int,
    select: Callable[[VoteTable, Sequence[int]], Mapping[int, int]],
) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Counts of the vote on the fold held out; members, their weights, and the ranking on the other folds."""
    votes = dict(sorted(select(table, folds).items()))
    members = tuple(table.ranking[rank] for rank in votes)
    return table.vote_counts(votes, [held_out]), members, tuple(votes.values()), table.ranking
