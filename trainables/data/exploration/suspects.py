"""Annotations that are probably wrong, by the predictions of models that never saw the photo.

On the visible pixels of an annotation each pixel of each model is one vote. Models have habits: they take one class for
another, and miss small objects. What they say of all annotations of a class shows these habits, and the label of an
annotation is held against them, as in confident learning (Northcutt et al., "Confident Learning: Estimating Uncertainty
in Dataset Labels", JAIR 2021). With the shares s(c) of an annotation's votes by class and the mean shares q(c | k) over
all other annotations of class k, of which there are n(k), the probability of each label is

    P(k) ~ n(k) exp(t sum over c of s(c) log q(c | k))

which is naive Bayes with one temperature t, because the votes of one annotation are not independent. The t is taken
under which the labels that there are have the highest probability.
"""

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from trainables.data.dataset import Dataset, ImageRecord

PRIOR = 1.0  # annotations of each class that are added, half of them voted right, and half as all are
LEAST_SHARE = 1e-6  # its logarithm is finite
TEMPERATURES = 2.0 ** np.arange(-5, 3.25, 0.25)


def owners(image: ImageRecord) -> np.ndarray:
    """Return which annotation each pixel shows after painting, int32 (height, width): its index, or -1."""
    whose = np.full((image.height, image.width), -1, np.int32)
    annotations = image.annotations
    for index in sorted(range(len(annotations)), key=lambda index: -annotations[index].area):
        whose[coco_mask.decode(annotations[index].segmentation) == 1] = index
    return whose


@dataclass(frozen=True)
class Suspect:
    """An annotation held against the votes on its visible pixels: one vote a pixel and model.

    `agreement` is the share of the votes that are for its label, `says` the class id with most votes, and `unanimity`
    the share that is for that. `visible` is in pixels, and `models` have voted. `suspicion` ranks: it is the
    probability that the label is another one, as this module's text has it.
    """

    row: int
    annotation_id: int | str
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
        found = [(row, index) for row in sorted(self._counts) for index in self._voted_on(row)]
        if not found:
            return []
        counts = np.array([self._counts[row][index] for row, index in found])
        labels = np.array([self._label(row, index) for row, index in found])
        right = probability_of_labels(counts / counts.sum(axis=1, keepdims=True), labels)
        suspects = [self._suspect(*where, votes, 1 - p) for where, votes, p in zip(found, counts, right.tolist())]
        return sorted(suspects, key=lambda one: -one.suspicion)

    def _voted_on(self, row: int) -> list[int]:
        """Return the indices of the annotations of a photo that are not hidden wholly."""
        return np.flatnonzero(self._counts[row].sum(axis=1)).tolist()

    def _label(self, row: int, index: int) -> int:
        return self._dataset.class_id_of[self._dataset.images[row].annotations[index].category_id]

    def _suspect(self, row: int, index: int, counts: np.ndarray, suspicion: float) -> Suspect:
        votes, label, says = int(counts.sum()), self._label(row, index), int(counts.argmax())
        shares, models = counts / votes, self._models[row]
        identifier = self._dataset.images[row].annotations[index].id
        of_votes = float(shares[label]), float(shares[says])
        return Suspect(row, identifier, label, says, *of_votes, votes // models, models, suspicion)


def probability_of_labels(shares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how probable the label of each annotation is, given the votes on it: float64 (annotations,).

    `shares` float64 (annotations, classes) are of the votes by class, and sum to 1; `labels` are class ids,
    (annotations,). The formula is in this module's text; no annotation counts in what its own label is held against.
    """
    number, classes = shares.shape
    everything = np.arange(number)
    sums, counts = np.zeros((classes, classes)), np.bincount(labels, minlength=classes).astype(float)
    np.add.at(sums, labels, shares)
    start = PRIOR * (np.eye(classes) + shares.mean(axis=0)) / 2
    evidence = shares @ np.log(_shares_of(sums + start)).T
    own = _shares_of(sums[labels] - shares + start[labels])  # without the annotation itself
    evidence[everything, labels] = (shares * np.log(own)).sum(axis=1)
    frequencies = np.repeat(counts[None], number, axis=0)
    frequencies[everything, labels] -= 1
    prior = np.where(counts > 0, np.log(frequencies + PRIOR / 2), -np.inf)

    def of_labels(temperature: float) -> np.ndarray:
        logits = prior + temperature * evidence
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights[everything, labels] / weights.sum(axis=1)

    return max(map(of_labels, TEMPERATURES), key=lambda right: np.log(right + LEAST_SHARE).sum())


def _shares_of(sums: np.ndarray) -> np.ndarray:
    return np.maximum(sums / sums.sum(axis=1, keepdims=True), LEAST_SHARE)
