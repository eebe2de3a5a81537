"""The pixel-wise hard vote, with the tie rule that makes an ensemble's answer depend on its members' ranks."""

import operator
from collections.abc import Sequence

import numpy as np

from ensembling.kernels import compiled

ABSTAIN = 255
BLOCK_PIXELS = 1 << 14


def hard_vote(votes: np.ndarray, num_classes: int, weights: Sequence[int] | None = None) -> np.ndarray:
    """Return the class with most votes at each pixel: uint8 (...).

    Among tied classes wins the one that the best-ranked member voting for any of them predicts. A pixel without any
    vote becomes class 0.

    Args:
        votes: uint8 (members, ...), class ids, or 255 to abstain; the members in rank order, best first.
        num_classes: 1 to 255.
        weights: (members,), whole numbers of votes, at least 1; one each unless given.

    Raises:
        ValueError: where `votes` is not uint8, has no member, or holds an id that is neither below `num_classes` nor
            255, and for other weights.
    """
    num_classes = check_num_classes(num_classes)
    votes = np.asarray(votes)
    if votes.dtype != np.uint8:
        raise ValueError(f"votes are {votes.dtype}, but must be uint8 class ids: convert them with .astype(np.uint8)")
    if votes.ndim < 1 or len(votes) == 0:
        raise ValueError(f"votes have shape {votes.shape}, but must be (members, ...) with at least one member")
    weights = _check_weights(weights, len(votes))
    shape = votes.shape[1:]
    votes = np.ascontiguousarray(votes).reshape(len(votes), -1) if votes.size else np.empty((len(votes), 0), np.uint8)
    votes = votes.view()
    votes.flags.writeable = False  # always, so that the kernel is compiled for one type of array
    winners = np.empty(votes.shape[1], np.uint8)
    tally = np.empty((BLOCK_PIXELS, num_classes), np.int64)
    for start in range(0, winners.size, BLOCK_PIXELS):
        block = slice(start, start + BLOCK_PIXELS)
        for member, row in enumerate(votes):
            check_class_ids(row[block], num_classes, f"votes of member {member}", start)
        _find_winners(votes, weights, start, tally, winners[block])
    return winners.reshape(shape)


def _check_weights(weights: Sequence[int] | None, members: int) -> np.ndarray:
    checked = np.ones(members, np.int64) if weights is None else np.asarray(weights)
    if checked.shape != (members,) or checked.dtype.kind not in "iu" or checked.min() < 1:
        raise ValueError(f"weights are {weights!r}, but must be {members} whole numbers of votes, each at least 1")
    return checked.astype(np.int64)


def check_num_classes(num_classes: int) -> int:
    """Return `num_classes` as an int; raise ValueError unless it is 1 to 255: uint8 ids, of which 255 is no class."""
    try:
        number = operator.index(num_classes)
    except TypeError:
        raise ValueError(f"num_classes is {num_classes!r}, but must be a whole number from 1 to 255") from None
    if not 1 <= number <= 255:
        raise ValueError(f"num_classes is {number}, but must be from 1 to 255 (background counts)")
    return number


def check_class_ids(ids: np.ndarray, num_classes: int, name: str, offset: int = 0) -> None:
    """Raise ValueError for the first of `ids`, uint8 (pixels,), that is neither a class nor 255.

    `name` and `offset`, the number of the first pixel, are for the message.
    """
    # 255 wraps to 0, so that one comparison finds what is neither a class nor an abstention.
    if ids.size and (ids + np.uint8(1)).max() > num_classes:
        wrong = int(np.argmax((ids >= num_classes) & (ids != ABSTAIN)))
        raise ValueError(
            f"{name}: class id {ids[wrong]} at pixel {offset + wrong}, but num_classes is {num_classes}: "
            f"ids must be 0 to {num_classes - 1}, or 255 for none"
        )


@compiled
def _find_winners(votes, weights, start, tally, winners):  # pragma: no cover - compiled
    """Fill in `winners`, uint8 (pixels,), from the votes of the pixels that begin at `start`; `tally` is scratch."""
    size, num_classes = winners.size, tally.shape[1]
    tally[:size] = 0
    for member in range(votes.shape[0]):
        for pixel in range(size):
            vote = votes[member, start + pixel]
            if vote != ABSTAIN:
                tally[pixel, vote] += weights[member]
    for pixel in range(size):
        most = 0
        for class_id in range(num_classes):
            most = max(most, tally[pixel, class_id])
        winners[pixel] = 0
        if most == 0:
            continue
        for member in range(votes.shape[0]):
            vote = votes[member, start + pixel]
            if vote != ABSTAIN and tally[pixel, vote] == most:
                winners[pixel] = vote
                break
