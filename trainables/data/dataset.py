"""Dataset: the photos of a data set with their annotations, its classes, and what identifies both."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trainables.data.annotations.annotation import Annotation
from trainables.data.annotations.checks import Problem
from trainables.data.annotations.masks import IGNORE_INDEX, paint_mask
from trainables.data.layout import SPLITS

BACKGROUND = "Background"


@dataclass(frozen=True)
class ImageRecord:
    """One photo, which is identified by its row: an `image_id` of train.json may occur again in val.json.

    `labelled` is False for the images of a test file without annotations. Photos of one `group` (frames of a video,
    photos of one scene), which the file may state, are kept together by the splits and by the estimates of the vote.
    """

    row: int
    image_id: int
    split: Literal["train", "val", "test"]
    file_name: str
    path: Path
    height: int
    width: int
    annotations: tuple[Annotation, ...]
    labelled: bool
    sha256: str = ""
    group: str = ""


@dataclass(frozen=True)
class Category:
    """A category of the files, and the class id of its pixels in class maps."""

    id: int
    name: str
    class_id: int


@dataclass(frozen=True)
class Dataset:
    """A data set whose row i is images[i]: those of the files "train", then "val", then "test", in the order of each
    file.

    `problems` lists what was left out or looks wrong without making the data set unusable. `fingerprint` is a SHA-256
    of categories, annotations, file names, photo bytes and `unlabelled`, but not of where the files are.
    `image_fingerprints` holds that of each image and its annotations, by row. `files` names the COCO file of each split
    as messages do: below `root`, or with its whole path.
    """

    root: Path
    images: tuple[ImageRecord, ...]
    categories: tuple[Category, ...]
    unlabelled: Literal["background", "ignore"]
    problems: tuple[Problem, ...]
    fingerprint: str
    image_fingerprints: tuple[str, ...] = field(default=(), repr=False)
    files: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the names by class id; class 0 is "Background" unless pixels without annotation are ignored."""
        names = tuple(category.name for category in self.categories)
        return names if self.unlabelled == "ignore" else (BACKGROUND, *names)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @cached_property
    def class_id_of(self) -> dict[int, int]:
        """Return the class id of each category id."""
        return {category.id: category.class_id for category in self.categories}

    def fill(self, row: int) -> int:
        """Return the class id of pixels without annotation in the class map of a row; 255 where nothing is
        labelled.
        """
        return 0 if self.unlabelled == "background" and self.images[row].labelled else IGNORE_INDEX

    def mask(self, row: int) -> np.ndarray:
        """Return the class map of a row, painted from its annotations: uint8 (height, width) of the photo."""
        image = self.images[row]
        objects = [(one.segmentation, self.class_id_of[one.category_id]) for one in image.annotations]
        return paint_mask(objects, (image.height, image.width), fill=self.fill(row))

    def file(self, split: str) -> str:
        """Return what messages call the COCO file of a split."""
        return self.files.get(split, f"{split}.json")

    def rows(self, split: str) -> tuple[int, ...]:
        """Return the rows of "train", "val" or "test"; none where the data set has no such file."""
        return tuple(image.row for image in self.images if image.split == split)

    def fingerprint_of(self, rows: Sequence[int]) -> str:
        """Return a SHA-256 of these images with their masks, in this order, whatever else the data set has."""
        classes = [(category.id, category.name) for category in self.categories]
        return sha256_of_values([[self.unlabelled, classes], *(self.image_fingerprints[row] for row in rows)])

    @property
    def summary(self) -> str:
        """Return lines of text: images per split, and annotations and images per class.

        The files are listed where they do not have their usual names.
        """
        counts = ", ".join(f"{len(self.rows(split))} {split}" for split in SPLITS if self.rows(split))
        annotations, images = Counter(), Counter()
        for image in self.images:
            annotations.update(annotation.category_id for annotation in image.annotations)
            images.update({annotation.category_id for annotation in image.annotations})
        classes = f"{self.num_classes} classes" + " with background" * (self.num_classes > len(self.categories))
        lines = [f"{self.root}: {counts} images, {sum(annotations.values())} annotations, {classes}"]
        if any(name != f"{split}.json" for split, name in self.files.items()):
            lines.append("  " + ", ".join(f"{split}: {name}" for split, name in self.files.items()))
        width = max(len(category.name) for category in self.categories)
        for category in self.categories:
            shapes, photos = annotations[category.id], images[category.id]
            counts = f"{shapes:7d} annotation{'s' * (shapes != 1)} in {photos} image{'s' * (photos != 1)}"
            lines.append(f"  {category.class_id:3d} {category.name:<{width}} {counts}")
        if self.problems:
            lines.append(f"  {len(self.problems)} problems, the first: {self.problems[0]}")
        return "\n".join(lines)


def sha256_of_values(lines: Iterable[Any]) -> str:
    """Return the SHA-256 of values that JSON can hold, one to a line."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(json.dumps(line, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()
