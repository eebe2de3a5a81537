"""The cross-fitted mIoU: what a selected vote is expected to score on images that it was not selected on.

The score on the images of the selection is too high, since the members were chosen for it. Here the holdout's images
are cut in folds; ranks and members are chosen on all folds but one and vote on that one; one confusion matrix is summed
over all folds, and one mIoU computed from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.assessment.top_k import ImageRuns
from ensembling.counting import VoteTable
from ensembling.scores import miou_from_counts
from ensembling.selection.ensemble_selection import Found

CROSSFIT_FOLDS = 5


@dataclass(frozen=True)
class CrossFit:
    """Who votes on each fold.

    `members[f]` were chosen on all folds but f, from the candidates as those folds rank them: `rankings[f]`. Candidates
    are named by their index; members are in rank order, and cast as many votes as their weights say.
    """

    members: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[int, ...], ...]
    rankings: tuple[tuple[int, ...], ...]


def fold_of_images(num_images: int, seed: int, max_folds: int = CROSSFIT_FOLDS) -> tuple[np.ndarray, int]:
    """Return the cross-fit fold of each image, uint8 (num_images,), and the number of folds: at most one an image.

    The images (in the order of their sorted ids) are shuffled by `seed` and dealt out in turn.
    """
    num_folds = max(1, min(max_folds, num_images))
    folds = np.empty(num_images, np.uint8)
    folds[np.random.default_rng(seed).permutation(num_images)] = np.arange(num_images) % num_folds
    return folds, num_folds


def fold_of_pixels(image_ids: np.ndarray, seed: int, max_folds: int = CROSSFIT_FOLDS) -> tuple[np.ndarray, int]:
    """Return the cross-fit fold of each pixel, uint8 (pixels,), and the number of folds.

    `image_ids` (pixels,) names the image of each pixel. The folds depend on the set of ids and `seed` alone, not on
    the order or the size of the images.
    """
    runs = ImageRuns.of(image_ids)
    folds, num_folds = fold_of_images(runs.num_images, seed, max_folds)
    return np.repeat(folds[runs.images], runs.stops - runs.starts), num_folds


def crossfit(
    table_for: Callable[[Sequence[int]], VoteTable],
    num_folds: int,
    select: Callable[[VoteTable], tuple[VoteTable, Found]],
) -> tuple[float, CrossFit]:
    """Return the mIoU of votes on folds that their members were not selected on, and who votes.

    With fewer than two folds the mIoU is NaN, and nobody votes.

    Args:
        table_for: returns the table of the candidates that may be chosen on some folds; it counts on all of them.
        num_folds: how many folds there are.
        select: chooses members on a table: returns it ranked, and what it found.
    """
    if num_folds < 2:
        return float("nan"), CrossFit((), (), ())
    counts, members, weights, rankings = [], [], [], []
    for held_out in range(num_folds):
        others = [fold for fold in range(num_folds) if fold != held_out]
        table, found = select(table_for(others).on(others))
        counts.append(table.on([held_out]).vote_counts(found.votes))
        members.append(tuple(table.ranking[rank] for rank in found.votes))
        weights.append(tuple(found.votes.values()))
        rankings.append(table.ranking)
        del table  # the next may need its memory
    return float(miou_from_counts(np.sum(counts, axis=0))), CrossFit(tuple(members), tuple(weights), tuple(rankings))
