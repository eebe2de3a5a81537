"""Annotations that are probably wrong, told from predictions of models that never saw the photo."""

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from trainables.data.coco import Dataset, ImageRecord

BACKGROUND_WEIGHT = 0.5  # models miss small objects more often than people label empty ground


def owners(image: ImageRecord) -> np.ndarray:
    """Return which annotation each pixel shows after painting, int32 (height, width): its place, or -1."""
    whose = np.full((image.height, image.width), -1, np.int32)
    annotations = image.annotations
    for place in sorted(range(len(annotations)), key=lambda place: -annotations[place].area):
        whose[coco_mask.decode(annotations[place].segmentation) == 1] = place
    return whose


@dataclass(frozen=True)
class Suspect:
    """An annotation held against the votes on its visible pixels: one vote a pixel and model.

    `agreement` is the share of the votes that are for its label, `says` the class id with most votes, and `unanimity`
    the share that is for that. `suspicion` ranks: (1 - agreement) x unanimity, half of it where the votes say
    background, and 0 where they say the label.
    """

    row: int
    annotation_id: int
    label: int
    says: int
    agreement: float
    unanimity: float
    visible: int
    models: int
    suspicion: float


class Votes:
    """Counts the votes on the visible pixels of each annotation, model by model; no class map is kept."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._counts: dict[int, np.ndarray] = {}
        self._models: dict[int, int] = {}

    def add(self, row: int, class_map: np.ndarray) -> None:
        """Add the class map uint8 (height, width) that a model predicts for a photo that it was not trained on."""
        image, classes = self._dataset.images[row], self._dataset.num_classes
        if not image.annotations:
            return
        whose = owners(image)
        shown = whose >= 0
        codes = whose[shown].astype(np.int64) * classes + class_map[shown]
        counts = np.bincount(codes, minlength=len(image.annotations) * classes).reshape(-1, classes)
        self._counts[row] = self._counts.get(row, 0) + counts
        self._models[row] = self._models.get(row, 0) + 1

    def suspects(self) -> list[Suspect]:
        """Return every annotation that was voted on, the most suspicious first."""
        found = [one for row in sorted(self._counts) for one in self._of(row)]
        return sorted(found, key=lambda one: -one.suspicion)

    def _of(self, row: int) -> list[Suspect]:
        class_id_of, models = self._dataset.class_id_of, self._models[row]
        background = self._dataset.unlabelled == "background"
        suspects = []
        for annotation, counts in zip(self._dataset.images[row].annotations, self._counts[row]):
            votes = int(counts.sum())
            if not votes:
                continue  # it is hidden wholly
            label, says = class_id_of[annotation.category_id], int(counts.argmax())
            agreement, unanimity = counts[label] / votes, counts[says] / votes
            suspicion = 0.0 if says == label else float((1 - agreement) * unanimity)
            if background and says == 0:
                suspicion *= BACKGROUND_WEIGHT
            shares = float(agreement), float(unanimity)
            suspects.append(Suspect(row, annotation.id, label, says, *shares, votes // models, models, suspicion))
        return suspects
