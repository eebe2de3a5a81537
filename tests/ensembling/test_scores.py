"""mIoU from one confusion matrix, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
from sklearn.metrics import jaccard_score

from ensembling import scores
from ensembling.scores import why_meaningless


@pytest.mark.parametrize("seed", range(20))
def test_confusion_and_miou_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    target, prediction = rng.integers(0, 6, (2, 40, 30)).astype(np.uint8)
    target[rng.random(target.shape) < 0.1] = 255
    counted = target != 255
    confusion = scores.confusion_matrix(prediction, target, 6)
    expected = sklearn_confusion_matrix(target[counted], prediction[counted], labels=range(6))
    np.testing.assert_array_equal(confusion, expected)
    assert confusion.dtype == np.int64
    ious = jaccard_score(target[counted], prediction[counted], labels=range(6), average=None)
    np.testing.assert_allclose(scores.iou_per_class(confusion), ious, rtol=1e-14)
    assert scores.miou(confusion) == pytest.approx(ious.mean(), abs=1e-14)


def test_confusion_adds_up_over_blocks(monkeypatch):
    target, prediction = np.random.default_rng(0).integers(0, 3, (2, 1000)).astype(np.uint8)
    whole = scores.confusion_matrix(prediction, target, 3)
    monkeypatch.setattr(scores, "BLOCK_PIXELS", 7)
    np.testing.assert_array_equal(scores.confusion_matrix(prediction, target, 3), whole)


def test_class_predicted_but_never_labelled_counts_as_zero_and_one_in_neither_does_not_count():
    confusion = scores.confusion_matrix(np.array([0, 0, 2], np.uint8), np.array([0, 0, 0], np.uint8), 4)
    np.testing.assert_array_equal(scores.iou_per_class(confusion), [2 / 3, np.nan, 0, np.nan])
    assert scores.miou(confusion) == pytest.approx(1 / 3, abs=1e-15)


def test_miou_is_zero_where_every_pixel_is_ignored():
    confusion = scores.confusion_matrix(np.array([0, 1], np.uint8), np.array([255, 255], np.uint8), 2)
    assert scores.miou(confusion) == 0.0
    assert np.isnan(scores.iou_per_class(confusion)).all()


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        ([0, 1], [0], r"prediction has shape \(2,\), but target \(1,\)"),
        ([3], [0], "prediction holds class id 3, but num_classes is 3"),
        ([255], [0], "prediction holds class id 255"),
        ([0], [3], "target holds class id 3, but num_classes is 3"),
    ],
)
def test_wrong_maps_are_refused(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        scores.confusion_matrix(np.array(prediction, np.uint8), np.array(target, np.uint8), 3)


@pytest.mark.parametrize(
    ("labelled", "said"),
    [
        ([0, 0, 0], "no pixel is labelled"),
        ([9, 0, 0], "every labelled pixel is Background, so that answering that everywhere would score 1"),
        ([0, 0, 1], "every labelled pixel is Glass"),
        ([1, 0, 1], None),
    ],
)
def test_labels_against_which_no_score_means_anything_are_told(labelled, said):
    reason = why_meaningless(np.array(labelled), ("Background", "Paper", "Glass"))
    assert reason is None if said is None else reason.startswith(said)
