"""Scores of a split, all from one confusion matrix that is summed over its images on the device."""

import torch
from torch import Tensor


def confusion_matrix(prediction: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """Return int64 pixel counts (num_classes, num_classes), rows target, columns prediction, on the maps' device.

    `prediction` and `target` are class maps of the same shape, of any integer type. Pixels whose target is
    `ignore_index` are dropped. `prediction` must be below `num_classes` everywhere. Raises ValueError for maps of
    different shapes and for labels from `num_classes` on that are not ignored.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction has shape {tuple(prediction.shape)}, but target {tuple(target.shape)}")
    target = target.long()
    # Bin 0 takes the ignored pixels: unlike a mask, it needs no copy of the maps and no wait for the device.
    bins = torch.where(target == ignore_index, 0, 1 + target * num_classes + prediction.long())
    counts = torch.bincount(bins.flatten(), minlength=1 + num_classes**2)
    if len(counts) > 1 + num_classes**2:
        raise ValueError(f"a class map holds labels above {num_classes - 1}, but num_classes is {num_classes}")
    return counts[1:].view(num_classes, num_classes)


def iou_per_class(confusion: Tensor) -> Tensor:
    """Return float64 intersection over union (C,) of a confusion matrix (C, C).

    NaN for classes that occur neither in the target nor in the prediction.
    """
    confusion = confusion.double()
    intersection = confusion.diagonal()
    return intersection / (confusion.sum(0) + confusion.sum(1) - intersection)


def miou(confusion: Tensor) -> float:
    """Return the mean IoU over the classes that occur in target or prediction; NaN for an empty matrix."""
    return iou_per_class(confusion).nanmean().item()


def pixel_accuracy(confusion: Tensor) -> float:
    """Return the share of pixels whose class is right; NaN for an empty matrix."""
    return (confusion.diagonal().sum().double() / confusion.sum()).item()
