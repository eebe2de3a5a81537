"""The count of the votes of many sets of a few candidates at once, on pixels that are merged where they look alike."""

import numpy as np

from ensembling.counting.bits import NONE, ONE, lowest_bit, population
from ensembling.kernels import compiled
from ensembling.vote import ABSTAIN


def count_sets(votes: np.ndarray, target: np.ndarray, sets: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the hits and predicted pixels of the vote of each set: int64 (sets, 2, classes).

    `votes` is uint8 (candidates, pixels), the best candidate first, and `target` uint8 (pixels,); each of `sets`,
    uint64 (sets,), has a bit for each rank that votes. There are at most 64 candidates.
    """
    counts = np.zeros((2, num_classes, len(sets)), np.int64)
    columns, pixels = np.unique(np.vstack([votes, target]), axis=1, return_counts=True)
    _count_sets(np.ascontiguousarray(columns.T), pixels, sets, counts)
    return counts.transpose(2, 0, 1)


@compiled
def _count_sets(columns, pixels, sets, counts):  # pragma: no cover - compiled
    """Add up the votes of `sets` on `columns`, uint8 (columns, candidates + 1): votes by rank, then the target."""
    classes, masks = np.empty(columns.shape[1], np.uint8), np.empty(columns.shape[1], np.uint64)
    for column in range(columns.shape[0]):
        present = 0
        for candidate in range(columns.shape[1] - 1):
            vote, kind = columns[column, candidate], 0
            if vote == ABSTAIN:
                continue
            while kind < present and classes[kind] != vote:
                kind += 1
            if kind == present:
                classes[kind], masks[kind] = vote, NONE
                present += 1
            masks[kind] |= ONE << np.uint64(candidate)
        for index in range(sets.size):
            most, winner = np.int64(0), np.uint8(0)
            for kind in range(present):
                voters = masks[kind] & sets[index]
                # Most votes first, then the better best voter: one comparison for both.
                strength = (population(voters) << 8) - lowest_bit(voters) if voters != NONE else np.int64(0)
                if strength > most:
                    most, winner = strength, classes[kind]
            counts[1, winner, index] += pixels[column]
            if winner == columns[column, -1]:
                counts[0, winner, index] += pixels[column]
