"""How much of each annotation is left to see where smaller ones are painted over it."""

from collections.abc import Sequence

import numpy as np

from trainables.data.annotations.annotation import Annotation
from trainables.data.annotations.masks import run_lengths


def visible_pixels(annotations: Sequence[Annotation]) -> np.ndarray:
    """Return the pixels of each annotation of one image, int64 (n,), that `paint_mask` leaves it.

    Annotations are painted from the largest to the smallest, of equal ones the later in the file last. The image is
    taken as the stretches between all ends of all runs, so that the work grows with the outlines and not with the area.
    """
    if len(annotations) < 2:
        return np.array([int(one.area) for one in annotations], np.int64)
    ends = [np.cumsum(run_lengths(one.segmentation["counts"])) for one in annotations]
    borders = np.unique(np.concatenate(ends))
    owner = np.full(borders.size, -1)  # of the stretch that begins at each border
    for index in sorted(range(len(annotations)), key=lambda index: -annotations[index].area):
        places = np.searchsorted(borders, ends[index])
        starts, stops = places[::2], places[1::2]
        steps = np.zeros(borders.size + 1, np.int64)
        np.add.at(steps, starts[: stops.size], 1)
        np.add.at(steps, stops, -1)
        owner[np.cumsum(steps[:-1]) > 0] = index
    lengths = np.diff(borders, append=borders[-1])
    return np.bincount(owner[owner >= 0], lengths[owner >= 0], minlength=len(annotations)).astype(np.int64)
