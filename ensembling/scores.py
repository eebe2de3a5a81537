"""The mean intersection over union (mIoU) of one confusion matrix over a whole split, never a mean over images."""

from collections.abc import Sequence

import numpy as np

BLOCK_PIXELS = 1 << 20


def confusion_matrix(
    prediction: np.ndarray, target: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count pixels by target class (rows) and predicted class (columns): int64 (num_classes, num_classes).

    `prediction` and `target` are uint8 of one shape; pixels whose target is `ignore_index` do not count. Raises
    ValueError where the shapes differ or a counted id is not below `num_classes`.
    """
    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.shape != target.shape:
        raise ValueError(f"prediction has shape {prediction.shape}, but target {target.shape}: they must be the same")
    prediction, target = prediction.reshape(-1), target.reshape(-1)
    confusion = np.zeros(num_classes * num_classes, np.int64)
    for start in range(0, target.size, BLOCK_PIXELS):
        block = slice(start, start + BLOCK_PIXELS)
        counted = target[block] != ignore_index
        labels, guesses = target[block][counted].astype(np.intp), prediction[block][counted].astype(np.intp)
        for name, ids in (("target", labels), ("prediction", guesses)):
            if ids.size and ids.max() >= num_classes:
                raise ValueError(f"{name} holds class id {ids.max()}, but num_classes is {num_classes}")
        confusion += np.bincount(labels * num_classes + guesses, minlength=confusion.size)
    return confusion.reshape(num_classes, num_classes)


def counts_from_confusion(confusion: np.ndarray) -> np.ndarray:
    """Return the hits, the predicted and the labelled pixels of each class: int64 (3, num_classes)."""
    return np.stack([np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1)])


def iou_from_counts(counts: np.ndarray) -> np.ndarray:
    """Return hits over union for each class: float64 (..., num_classes) from counts (..., 3, num_classes).

    A class that is predicted but never labelled has IoU 0; one that occurs in neither has NaN.
    """
    hits, predicted, labelled = np.moveaxis(counts, -2, 0)
    union = predicted + labelled - hits
    return np.divide(hits, union, out=np.full(union.shape, np.nan), where=union > 0)


def miou_from_counts(counts: np.ndarray) -> np.ndarray:
    """Return the mean IoU over the classes in target or prediction: float64 (...) from counts (..., 3, num_classes).

    Where no class occurs at all (every pixel ignored) it is 0, never NaN, so that scores always compare.
    """
    iou = iou_from_counts(counts)
    occurs = ~np.isnan(iou)
    return np.where(occurs, iou, 0.0).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)


def iou_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return the IoU of each class, float64 (num_classes,); NaN for a class in neither target nor prediction."""
    return iou_from_counts(counts_from_confusion(confusion))


def miou(confusion: np.ndarray) -> float:
    """Return the mean IoU of a confusion matrix over the classes that occur in it; 0 where none does."""
    return float(miou_from_counts(counts_from_confusion(confusion)))


def why_meaningless(labelled: np.ndarray, class_names: Sequence[str]) -> str | None:
    """Return why no score against these labels can mean anything; None where one can.

    `labelled` (classes,) counts the labelled pixels of each class, or the photos that have any. Without any there is
    nothing to score; with one class alone, whoever answers that class everywhere scores 1.
    """
    classes = np.flatnonzero(labelled)
    if classes.size == 0:
        return "no pixel is labelled"
    if classes.size == 1:
        return f"every labelled pixel is {class_names[classes[0]]}, so that answering that everywhere would score 1"
    return None
