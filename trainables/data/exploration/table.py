"""The annotations and images of a data set as columns, from which everything else is counted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from trainables.data.dataset import Dataset
from trainables.data.exploration.visible import visible_pixels
from trainables.data.layout import SPLITS


@dataclass(frozen=True, eq=False)
class Table:
    """One entry per annotation (n) or per image (m); annotations are in the order of the images' rows.

    ids: the annotations' ids (n,), any whole numbers or texts. image, category: int64 (n,): the row of the annotation's
    image, and its category's index in `dataset.categories`. area, visible: int64 (n,), pixels of the annotation, and
    those left after painting. boxes: float64 (n, 4): left, top, width, height. height, width, split: int64 (m,), where
    a split is an index in SPLITS. labelled: bool (m,).
    """

    dataset: Dataset
    ids: list[int | str]
    image: np.ndarray
    category: np.ndarray
    area: np.ndarray
    visible: np.ndarray
    boxes: np.ndarray
    height: np.ndarray
    width: np.ndarray
    split: np.ndarray
    labelled: np.ndarray

    @property
    def hidden(self) -> np.ndarray:
        """Return the share of each annotation that is painted over, float64 (n,)."""
        return 1 - self.visible / self.area

    @property
    def pixels(self) -> np.ndarray:
        """Return the pixels of each image, int64 (m,)."""
        return self.height * self.width

    @property
    def annotated(self) -> np.ndarray:
        """Return the pixels of each image that any annotation covers, int64 (m,)."""
        return np.bincount(self.image, self.visible, minlength=self.height.size).astype(np.int64)

    @property
    def names(self) -> list[str]:
        return [category.name for category in self.dataset.categories]


def make_table(dataset: Dataset, progress: Callable[[int], None] | None = None) -> Table:
    """Return the table of a data set; `progress` is called with the number of images done."""
    index = {category.id: number for number, category in enumerate(dataset.categories)}
    annotations = [annotation for image in dataset.images for annotation in image.annotations]
    visible = []
    for done, image in enumerate(dataset.images, start=1):
        visible.append(visible_pixels(image.annotations))
        if progress is not None:
            progress(done)
    boxes = coco_mask.toBbox([one.segmentation for one in annotations]) if annotations else np.zeros((0, 4))
    images = dataset.images
    return Table(
        dataset=dataset,
        ids=[one.id for one in annotations],
        image=np.repeat(np.arange(len(images)), [len(image.annotations) for image in images]),
        category=_integers(index[one.category_id] for one in annotations),
        area=_integers(one.area for one in annotations),
        visible=np.concatenate([*visible, np.zeros(0, np.int64)]),
        boxes=np.asarray(boxes, float).reshape(-1, 4),
        height=_integers(image.height for image in images),
        width=_integers(image.width for image in images),
        split=_integers(SPLITS.index(image.split) for image in images),
        labelled=np.array([image.labelled for image in images], bool),
    )


def _integers(values) -> np.ndarray:
    return np.fromiter((int(value) for value in values), np.int64)
