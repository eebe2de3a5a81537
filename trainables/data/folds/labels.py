"""The labels of photos that each method of making folds keeps even: every fold gets its share of each label."""

from collections.abc import Callable, Sequence

import numpy as np

from trainables.data.dataset import Dataset
from trainables.data.exploration.visible import visible_pixels

NOTHING = -1  # the label of a photo without annotations; no class id, so that it is a stratum of its own
MOST_CLASSES = 8  # distinct classes in a photo; a larger number counts as this one
AREAS = ("smallest third", "middle third", "largest third")  # bins of the labelled area
SIZES = len(AREAS)
Labels = dict[int, list[int]]


def class_labels(dataset: Dataset, rows: Sequence[int]) -> Labels:
    """Return the class id of each annotation of each row, by row."""
    class_id_of = dataset.class_id_of
    return {
        row: [class_id_of[annotation.category_id] for annotation in dataset.images[row].annotations] or [NOTHING]
        for row in rows
    }


def multilabel_labels(dataset: Dataset, rows: Sequence[int]) -> Labels:
    """Return one label for each distinct class of each row, by row: class, number of classes and labelled area in one.

    For C classes, numbered from 1, the label is 3C(count - 1) + C(size - 1) + class, which for ten classes is 30(count
    - 1) + 10(size - 1) + class. `count` is the number of distinct classes in the photo, 8 at most, and `size` is 1, 2
    or 3 by the photo's labelled area, with overlaps counted once, in three bins of equally many photos.
    """
    place = {category.id: number for number, category in enumerate(dataset.categories, start=1)}
    classes = len(dataset.categories)
    present = {row: sorted({place[one.category_id] for one in dataset.images[row].annotations}) for row in rows}
    sizes = area_bins(dataset, rows)
    return {
        row: [SIZES * classes * (min(len(own), MOST_CLASSES) - 1) + classes * (sizes[row] - 1) + one for one in own]
        or [NOTHING]
        for row, own in present.items()
    }


def random_labels(dataset: Dataset, rows: Sequence[int]) -> Labels:
    """Return the same label for every row, so that folds are even in the number of photos only."""
    return {row: [0] for row in rows}


def area_bins(dataset: Dataset, rows: Sequence[int]) -> dict[int, int]:
    """Return 1, 2 or 3 by row, for the rows with annotations: the third of the labelled areas to which it belongs.

    Areas are compared as shares of the frame, so that photos of different sizes with similar content get the same bin.
    """
    shares = {}
    for row in rows:
        image = dataset.images[row]
        if image.annotations:
            shares[row] = visible_pixels(image.annotations).sum() / (image.height * image.width)
    if not shares:
        return {}
    borders = np.quantile(list(shares.values()), [number / SIZES for number in range(1, SIZES)])
    return {row: 1 + int(np.searchsorted(borders, share, side="left")) for row, share in shares.items()}


LABELS: dict[str, Callable[[Dataset, Sequence[int]], Labels]] = {
    "sgkf": class_labels,
    "multilabel": multilabel_labels,
    "random": random_labels,
}
METHODS = (*LABELS, "predefined")
