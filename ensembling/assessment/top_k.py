"""The vote as members join it one after another: what it scores after each, image by image, in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.kernels import compiled
from ensembling.threads import in_threads
from ensembling.vote import ABSTAIN

BLOCK_BYTES = 1 << 23  # of all rows together; with shorter blocks the threads wait for the interpreter
TOGETHER = 256  # pixels that are counted at a time, so that their votes stay in the cache


@dataclass(frozen=True, eq=False)
class ImageRuns:
    """Where images lie among the pixels: run i holds pixels starts[i] to stops[i] of image images[i] (from 0)."""

    starts: np.ndarray
    stops: np.ndarray
    images: np.ndarray
    num_images: int

    @classmethod
    def of(cls, image_ids: np.ndarray) -> "ImageRuns":
        """Find the runs from the id of each pixel's image, (pixels,); images are numbered by their sorted ids."""
        if image_ids.size == 0:
            return cls(*np.zeros((3, 0), np.int64), 0)
        # An image's pixels mostly follow one another, so sorting the runs' ids is far less than sorting all pixels'.
        starts = np.concatenate([[0], np.flatnonzero(image_ids[1:] != image_ids[:-1]) + 1])
        names, images = np.unique(image_ids[starts], return_inverse=True)
        return cls(starts, np.append(starts[1:], image_ids.size), images, len(names))

    def within(self, chosen: np.ndarray) -> "ImageRuns":
        """Return the runs of the images for which `chosen`, bool (num_images,), is true; their numbers stay."""
        kept = chosen[self.images]
        return ImageRuns(self.starts[kept], self.stops[kept], self.images[kept], self.num_images)


def growing_counts(
    rows: Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    runs: ImageRuns,
    keep: Sequence[int],
    *,
    weights: Sequence[int] | None = None,
    ignore_index: int = 255,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Count the vote of the first 1, 2, … of `rows`, and that of each image after the steps to `keep`.

    Args:
        rows: The class maps in rank order, best first, uint8 (pixels,) each. They may be memory-mapped: they are read
            in blocks.
        target: The masks, uint8 (pixels,).
        num_classes: The number of classes.
        runs: Where the images lie among the pixels; pixels outside of them do not count.
        keep: The numbers of rows after which each image is counted.
        weights: The number of votes of each row; one each unless given.
        ignore_index: Pixels with this target do not count.
        threads: How many threads count; they change no result.

    Returns:
        Hits, predicted and labelled pixels, as in ensembling/scores.py: of all images, int64 (rows, 3, num_classes),
        and of each image, int64 (len(keep), images, 3, num_classes).
    """
    votes_cast = np.ones(len(rows), np.int64) if weights is None else np.asarray(weights, np.int64)
    whole = list(zip(runs.starts, runs.stops, runs.images, strict=True))

    def count(part: Sequence[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
        total = np.zeros((len(rows), 3, num_classes), np.int64)
        kept = np.zeros((len(keep), runs.num_images, 3, num_classes), np.int64)
        for start, stop, image in part:
            counts = _count_run(rows, votes_cast, target, num_classes, range(start, stop), ignore_index)
            total += counts
            kept[:, image] += counts[keep]
        return total, kept

    counted = in_threads(count, [whole[first::threads] for first in range(threads)], threads)
    return sum(total for total, _ in counted), sum(kept for _, kept in counted)


def _count_run(
    rows: Sequence[np.ndarray],
    weights: np.ndarray,
    target: np.ndarray,
    num_classes: int,
    pixels: range,
    ignore_index: int,
) -> np.ndarray:
    changes = np.zeros((len(rows), 2, num_classes), np.int64)
    labelled = np.zeros(num_classes, np.int64)
    order = np.arange(len(rows))
    most = min(len(pixels), max(1, BLOCK_BYTES // len(rows)))
    # A row length that is no power of two keeps the rows of one column out of the same cache set.
    tile = np.empty((len(rows), most + 64), np.uint8)
    for start in pixels[::most]:
        block = slice(start, min(start + most, pixels.stop))
        size = block.stop - start
        for row, part in zip(rows, tile, strict=True):
            part[:size] = row[block]
        labels = np.array(target[block])  # a copy, which is always of the same type for the kernels
        counted = (labels != ignore_index).astype(np.int64)
        labelled += np.bincount(labels[counted > 0], minlength=num_classes)
        disputed = np.flatnonzero(count_agreed(tile, labels, counted, changes[0]))
        votes = np.take(tile, disputed, axis=1)
        count_growth(votes, weights, labels[disputed], counted[disputed], order, changes)
    grown = np.cumsum(changes, axis=0)
    return np.concatenate([grown, np.broadcast_to(labelled, (len(rows), 1, num_classes))], axis=1)


@compiled
def count_agreed(votes, target, times, change):  # pragma: no cover - compiled
    """Add the vote on pixels where all `votes`, uint8 (members, pixels or more), agree to `change`, int64 (2, classes).

    It is the first member's, whoever joins. A pixel counts `times`; those beyond `target` do not. Returns uint8
    (pixels,) that is 0 on the pixels where all agree, and on those that do not count.
    """
    differs = np.zeros(target.size, np.uint8)
    for row in range(1, votes.shape[0]):
        for pixel in range(target.size):
            differs[pixel] |= votes[row, pixel] ^ votes[0, pixel]
    for pixel in range(target.size):
        if times[pixel] == 0:
            differs[pixel] = 0
        elif differs[pixel] == 0:
            winner = np.int64(votes[0, pixel]) if votes[0, pixel] != ABSTAIN else 0
            _move(change, -1, winner, target[pixel], times[pixel])
    return differs


@compiled
def count_growth(votes, weights, target, times, order, changes):  # pragma: no cover - compiled
    """Count what each further member changes in hits and predicted pixels.

    Only the class that gains a vote can become the winner: a step compares two classes.

    Args:
        votes: uint8 (members, pixels), in rank order.
        weights: integers (members,), how many votes each member casts.
        target: uint8 (pixels,).
        times: integers (pixels,), how often each pixel counts.
        order: integers (steps,), the ranks in the order in which the members join.
        changes: int64 (steps, 2, classes), to which the changes are added.
    """
    cast, firsts = np.empty((2, TOGETHER, changes.shape[2]), np.int64)
    winner = np.empty(TOGETHER, np.int64)
    # Some pixels at a time, whose votes so far stay near: rows of votes then follow one another in memory.
    for start in range(0, target.size, TOGETHER):
        size = min(TOGETHER, target.size - start)
        cast[:size], winner[:size] = 0, -1
        for step in range(order.size):
            rank = order[step]
            for index in range(size):
                pixel = start + index
                vote, before = np.int64(votes[rank, pixel]), winner[index]
                if vote != ABSTAIN:
                    had = cast[index, vote]
                    if had == 0 or rank < firsts[index, vote]:
                        firsts[index, vote] = rank
                    had += weights[rank]
                    cast[index, vote] = had
                    if vote != before:
                        most = cast[index, before] if before >= 0 else 0
                        if had > most or (had == most and firsts[index, vote] < firsts[index, before]):
                            winner[index] = vote
                if step == 0:
                    _move(changes[0], -1, max(winner[index], 0), target[pixel], times[pixel])
                elif winner[index] != before and max(before, 0) != winner[index]:
                    _move(changes[step], max(before, 0), winner[index], target[pixel], times[pixel])


@compiled
def _move(change, before, now, label, times):  # pragma: no cover - compiled
    """Add to `change` that so many pixels of a label go from the class `before` (none, if negative) to `now`."""
    change[1, now] += times
    if now == label:
        change[0, now] += times
    if before >= 0:
        change[1, before] -= times
        if before == label:
            change[0, before] -= times
