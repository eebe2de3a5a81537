"""The labels of photos that are predicted, if their COCO file has any."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trainables.data.annotations import checks
from trainables.data.annotations.annotation import Annotation, sound_annotations
from trainables.data.annotations.checks import Problem
from trainables.data.annotations.masks import IGNORE_INDEX, paint_mask
from trainables.data.layout import photos_of
from trainables.errors import UserError


@dataclass(frozen=True)
class Labels:
    """The class maps by image id, painted as those of a data set, and the `problems` of annotations that are left
    out.
    """

    annotations: dict[int, list[Annotation]]
    class_id_of: dict[int, int]
    fill: int
    problems: tuple[Problem, ...]

    def mask(self, image_id: int, size: tuple[int, int]) -> np.ndarray:
        """Return uint8 of that size (H, W); pixels without annotation are background, or 255."""
        own = self.annotations.get(image_id, ())
        objects = [(one.segmentation, self.class_id_of[one.category_id]) for one in own]
        return paint_mask(objects, size, fill=self.fill)


def read_labels(source: Path, classes: dict[int, str], unlabelled: Literal["background", "ignore"]) -> Labels | None:
    """Return the labels in the COCO file `source`, whose categories are `classes` by name; None where it has none.

    A category without annotations need not be a class. Raises UserError for others that are none, because the class of
    their pixels is unknown, and where none of the annotations can be used.
    """
    if not source.is_file():
        return None
    content, faults = checks.read_coco(source, source.name, photos_of(source).path, labels_optional=True)
    checks.raise_if_any(source.parent, faults)
    if not content["annotations"]:
        return None
    ids = {name: class_id for class_id, name in classes.items()}
    used = {one.get("category_id") for one in content["annotations"] if checks.is_id(one.get("category_id"))}
    names = {one["id"]: one["name"] for one in content["categories"] if one["id"] in used}
    others = sorted(set(names.values()) - ids.keys())
    if others or not names:
        raise UserError(f"{source} has labels of other categories than the ensemble's ({', '.join(others) or 'none'})")
    class_id_of = {category: ids[name] for category, name in names.items()}
    problems: list[Problem] = []
    annotations = sound_annotations(source.name, content, class_id_of, problems)
    if not any(annotations.values()):
        raise UserError(
            f"none of the {len(content['annotations'])} annotations of {source} can be used, the first: {problems[0]}"
        )
    return Labels(annotations, class_id_of, IGNORE_INDEX if unlabelled == "ignore" else 0, tuple(problems))
