"""What an ensemble will score on images that it was not selected on: the cross-fitted mIoU.

Selecting on a split flatters the score on it. Here the holdout's images are cut in folds; ranks and members are chosen
on all folds but one and vote on that one; one confusion is pooled over all folds, and one mIoU taken of it.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ensembling.scores import miou_from_counts
from ensembling.table import VoteTable

CROSSFIT_FOLDS = 5


def fold_of_pixels(image_ids: np.ndarray, seed: int, max_folds: int = CROSSFIT_FOLDS) -> tuple[np.ndarray, int]:
    """Cross-fit fold of each pixel, uint8 (pixels,), and the number of folds: `max_folds`, or one an image if fewer.

    `image_ids` (pixels,) names the image of each pixel. The folds depend on the set of ids and `seed` alone (the
    sorted ids are shuffled and dealt out in turn), not on the order or the size of the images.
    """
    if image_ids.size == 0:
        return np.zeros(0, np.uint8), 1
    # An image's pixels mostly follow one another, so sorting the runs' ids is far less than sorting all pixels'.
    starts = np.concatenate([[0], np.flatnonzero(image_ids[1:] != image_ids[:-1]) + 1])
    images, image_of_run = np.unique(image_ids[starts], return_inverse=True)
    num_folds = min(max_folds, len(images))
    fold_of_image = np.empty(len(images), np.uint8)
    fold_of_image[np.random.default_rng(seed).permutation(len(images))] = np.arange(len(images)) % num_folds
    lengths = np.diff(starts, append=image_ids.size)
    return np.repeat(fold_of_image[image_of_run], lengths), num_folds


def crossfit_miou(table: VoteTable, select: Callable[[VoteTable, Sequence[int]], Sequence[int]]) -> float:
    """mIoU of votes on folds that their members were not selected on; NaN where the table has fewer than two folds.

    `select(table, folds)` chooses on `folds` alone and returns the members' ranks; it may rerank the table.
    """
    if table.num_folds < 2:
        return float("nan")
    counts = np.zeros((3, table.num_classes), np.int64)
    for held_out in range(table.num_folds):
        members = select(table, [fold for fold in range(table.num_folds) if fold != held_out])
        counts += table.vote_counts(members, [held_out])
    return float(miou_from_counts(counts))
