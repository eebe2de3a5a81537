"""Scores of a split: the confusion matrix on the device, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import jaccard_score

from trainables.inference.metrics import confusion_matrix, iou_per_class, miou, pixel_accuracy

torch.set_num_threads(1)


def random_maps(seed, num_classes, *, ignored):
    generator = np.random.default_rng(seed)
    target = generator.integers(num_classes, size=(3, 17, 13))
    prediction = np.where(
        generator.random(target.shape) < 0.5, target, generator.integers(num_classes, size=target.shape)
    )
    return prediction, np.where(generator.random(target.shape) < ignored, 255, target)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_confusion_and_miou_equal_sklearn(seed, dtype):
    num_classes = 2 + seed % 11
    prediction, target = random_maps(seed, num_classes, ignored=0.05 * (seed % 5))
    confusion = confusion_matrix(torch.tensor(prediction, dtype=dtype), torch.tensor(target, dtype=dtype), num_classes)
    kept = target != 255
    assert confusion.dtype == torch.int64
    assert np.array_equal(confusion, sklearn_confusion(target[kept], prediction[kept], labels=range(num_classes)))
    expected = jaccard_score(target[kept], prediction[kept], average=None)
    assert iou_per_class(confusion).tolist() == pytest.approx(expected.tolist())
    assert miou(confusion) == pytest.approx(expected.mean())
    assert pixel_accuracy(confusion) == pytest.approx((target[kept] == prediction[kept]).mean())


def test_rows_are_target_and_columns_prediction():
    confusion = confusion_matrix(torch.tensor([[1, 1]]), torch.tensor([[0, 0]]), 2)
    assert confusion.tolist() == [[0, 2], [0, 0]]


def test_prediction_and_target_may_have_different_types():
    confusion = confusion_matrix(torch.tensor([[12, 3]]), torch.tensor([[12, 255]], dtype=torch.uint8), 13)
    assert confusion.sum() == 1
    assert confusion[12, 12] == 1


def test_class_absent_from_both_is_nan_and_left_out_of_the_mean():
    confusion = torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    iou = iou_per_class(confusion)
    assert iou.dtype == torch.float64
    assert iou[:2].tolist() == pytest.approx([3 / 4, 4 / 5])
    assert math.isnan(iou[2])
    assert miou(confusion) == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_class_predicted_but_absent_from_the_target_counts_as_zero():
    assert miou(torch.tensor([[3, 1], [0, 0]])) == pytest.approx(3 / 4 / 2)


def test_nothing_but_ignored_pixels_has_no_score():
    confusion = confusion_matrix(torch.zeros(4, 4, dtype=torch.int64), torch.full((4, 4), 255), 3)
    assert confusion.tolist() == [[0] * 3] * 3
    assert math.isnan(miou(confusion))
    assert math.isnan(pixel_accuracy(confusion))


def test_matrices_add_up_over_images():
    prediction, target = (torch.tensor(maps) for maps in random_maps(1, 5, ignored=0.2))
    apart = sum(confusion_matrix(p, t, 5) for p, t in zip(prediction, target))
    assert torch.equal(apart, confusion_matrix(prediction, target, 5))


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (torch.zeros(2, 2), torch.zeros(2, 3), r"shape \(2, 2\), but target \(2, 3\)"),
        (torch.zeros(2, 2), torch.full((2, 2), 3), "labels above 2, but num_classes is 3"),
    ],
)
def test_wrong_maps_are_refused(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(prediction.long(), target.long(), 3)
