"""The labels of photos that are predicted, where their COCO file has any."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trainables.data import checks
from trainables.data.checks import Problem
from trainables.data.coco import Annotation, ImageRecord, sound_annotations
from trainables.data.masks import IGNORE_INDEX, paint_mask
from trainables.data.unlabelled import Photo
from trainables.errors import UserError


@dataclass(frozen=True)
class Labels:
    """Class maps by photo, painted as those of a data set are."""

    annotations: dict[int, list[Annotation]]
    class_id_of: dict[int, int]
    fill: int
    problems: tuple[Problem, ...]
    """Of annotations that are left out, as a data set's are."""

    def mask(self, photo: Photo) -> np.ndarray:
        """uint8 (H, W); pixels without annotation are background, or 255."""
        own = tuple(self.annotations.get(photo.image_id, ()))
        size = {"height": photo.height, "width": photo.width}
        record = ImageRecord(
            0, photo.image_id, "test", photo.file_name, photo.path, **size, annotations=own, labelled=True
        )
        return paint_mask(record, self.class_id_of, fill=self.fill)


def read_labels(source: Path, classes: dict[int, str], unlabelled: Literal["background", "ignore"]) -> Labels | None:
    """The labels in the COCO file `source`, whose categories are `classes` by name; None where it has none.

    Raises UserError for categories that are no classes: what they cover is unknown.
    """
    if not source.is_file():
        return None
    content: dict[str, Any] = checks.read_json(source.parent, source.name)
    if not content.get("annotations"):
        return None
    ids = {name: class_id for class_id, name in classes.items()}
    names = {one["id"]: one["name"].strip() for one in content.get("categories", [])}
    others = sorted(set(names.values()) - ids.keys())
    if others or not names:
        raise UserError(f"{source} has labels of other categories than the ensemble's ({', '.join(others) or 'none'})")
    class_id_of = {category: ids[name] for category, name in names.items()}
    problems: list[Problem] = []
    annotations = sound_annotations(source.name, content, class_id_of, problems)
    return Labels(annotations, class_id_of, IGNORE_INDEX if unlabelled == "ignore" else 0, tuple(problems))
