"""The vote as members join it one after another: what it scores after each, image by image, in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.compiled import compiled
from ensembling.threads import in_threads
from ensembling.vote import ABSTAIN

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class ImageRuns:
    """Where images lie among the pixels: run i holds pixels starts[i] to stops[i] of image images[i] (from 0)."""

    starts: np.ndarray
    stops: np.ndarray
    images: np.ndarray
    num_images: int

    @classmethod
    def of(cls, image_ids: np.ndarray) -> "ImageRuns":
        """From the id of each pixel's image, (pixels,); images are numbered in the order of their sorted ids."""
        if image_ids.size == 0:
            return cls(*np.zeros((3, 0), np.int64), 0)
        # An image's pixels mostly follow one another, so sorting the runs' ids is far less than sorting all pixels'.
        starts = np.concatenate([[0], np.flatnonzero(image_ids[1:] != image_ids[:-1]) + 1])
        names, images = np.unique(image_ids[starts], return_inverse=True)
        return cls(starts, np.append(starts[1:], image_ids.size), images, len(names))

    def within(self, chosen: np.ndarray) -> "ImageRuns":
        """The runs of the images for which `chosen`, bool (num_images,), is true; numbers stay."""
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
    """Counts (as in scores) of the vote of the first 1, 2, … of `rows`, and image by image after the steps to `keep`.

    They are int64 (rows, 3, num_classes) and (len(keep), images, 3, num_classes). `rows` are uint8 (pixels,), in rank
    order, best first, and may be memory-mapped: they are read in blocks. Each casts one vote, or as many as its weight
    says. `target` is uint8 (pixels,); pixels outside `runs` do not count. `threads` change no result.
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
        for row, part in zip(rows, tile, strict=True):
            part[: block.stop - start] = row[block]
        labels = np.asarray(target[block])
        counted = (labels != ignore_index).astype(np.int64)
        count_growth(tile, weights, labels, counted, order, changes)
        labelled += np.bincount(labels[counted > 0], minlength=num_classes)
    grown = np.cumsum(changes, axis=0)
    return np.concatenate([grown, np.broadcast_to(labelled, (len(rows), 1, num_classes))], axis=1)


@compiled
def count_growth(votes, weights, target, times, order, changes):  # pragma: no cover - compiled
    """Add to `changes` int64 (steps, 2, classes) what each further member changes in hits and predicted pixels.

    `votes` uint8 (members, pixels or more) in rank order, each with its weight; members join in `order`, which holds
    ranks; a pixel counts `times`. Only the class that gains a vote can become the winner: a step compares two classes.
    """
    cast, firsts = np.zeros(256, np.int64), np.empty(256, np.int64)
    for pixel in range(target.size):
        if times[pixel] == 0:
            continue
        label, winner, before = target[pixel], -1, -1
        for step in range(order.size):
            rank = order[step]
            vote = votes[rank, pixel]
            if vote != ABSTAIN:
                firsts[vote] = rank if cast[vote] == 0 else min(firsts[vote], rank)
                cast[vote] += weights[rank]
                ahead = winner < 0 or cast[vote] > cast[winner]
                if ahead or (cast[vote] == cast[winner] and firsts[vote] < firsts[winner]):
                    winner = np.int64(vote)
            now = max(winner, 0)
            if now != before:
                _move(changes[step], before, now, label, times[pixel])
                before = now
        for step in range(order.size):
            vote = votes[order[step], pixel]
            cast[vote] = 0


@compiled
def _move(change, before, now, label, times):  # pragma: no cover - compiled
    change[1, now] += times
    if now == label:
        change[0, now] += times
    if before >= 0:
        change[1, before] -= times
        if before == label:
            change[0, before] -= times
