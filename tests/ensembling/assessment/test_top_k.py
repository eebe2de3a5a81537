"""The vote of the first 1, 2, … candidates, recounted, whatever the size of the blocks that are read."""

import numpy as np
import pytest

from ensembling.assessment import top_k
from ensembling.assessment.top_k import ImageRuns, growing_counts
from ensembling.scores import counts_from_confusion
from tests.ensembling.recounted import naive
from tests.ensembling.recounted.cases import random_case


def naive_counts(rows, target, num_classes, ignore_index):
    """Hits, predicted and labelled pixels per class of the rows' vote."""
    voted = naive.vote(rows, num_classes)
    confusion = np.zeros((num_classes, num_classes), np.int64)
    for label, winner in zip(target.tolist(), voted.tolist()):
        if label != ignore_index:
            confusion[label, winner] += 1
    return counts_from_confusion(confusion)


@pytest.mark.parametrize("seed", range(60))
def test_every_prefix_counts_as_its_own_vote_in_all_and_in_each_image(seed):
    case = random_case(seed, pixels=30)
    keep = [0, len(case.predictions) - 1]
    runs = ImageRuns.of(case.image_ids)
    arguments = (case.predictions, case.target, case.num_classes, runs, keep)
    total, kept = growing_counts(*arguments, ignore_index=case.ignore_index)
    for size in range(1, len(case.predictions) + 1):
        expected = naive_counts(case.predictions[:size], case.target, case.num_classes, case.ignore_index)
        np.testing.assert_array_equal(total[size - 1], expected)
    for image, name in enumerate(np.unique(case.image_ids)):
        inside = case.image_ids == name
        for place, step in enumerate(keep):
            rows, target = case.predictions[: step + 1, inside], case.target[inside]
            expected = naive_counts(rows, target, case.num_classes, case.ignore_index)
            np.testing.assert_array_equal(kept[place, image], expected)


def test_weights_are_votes():
    case = random_case(6, candidates=4, pixels=60)
    runs = ImageRuns.of(case.image_ids)
    arguments = {"ignore_index": case.ignore_index}
    total, _ = growing_counts(
        case.predictions, case.target, case.num_classes, runs, [0], weights=[2, 1, 3, 1], **arguments
    )
    copies = case.predictions[[0, 0, 1, 2, 2, 2, 3]]
    np.testing.assert_array_equal(total[3], naive_counts(copies, case.target, case.num_classes, case.ignore_index))
    np.testing.assert_array_equal(total[1], naive_counts(copies[:3], case.target, case.num_classes, case.ignore_index))


def test_blocks_change_nothing(monkeypatch):
    case = random_case(3, candidates=6, pixels=200)
    runs = ImageRuns.of(np.arange(200) // 70)
    arguments = (case.predictions, case.target, case.num_classes, runs, [2, 5])
    whole = growing_counts(*arguments, ignore_index=case.ignore_index)
    monkeypatch.setattr(top_k, "BLOCK_BYTES", 40)
    for one, other in zip(whole, growing_counts(*arguments, ignore_index=case.ignore_index)):
        np.testing.assert_array_equal(one, other)


def test_pixels_of_other_images_do_not_count():
    case = random_case(4, candidates=3, pixels=40)
    ids = np.arange(40) // 10
    runs = ImageRuns.of(ids).within(np.array([False, True, False, True]))
    total, kept = growing_counts(case.predictions, case.target, 5, runs, [2], ignore_index=case.ignore_index)
    inside = np.isin(ids, [1, 3])
    np.testing.assert_array_equal(
        total[2], naive_counts(case.predictions[:, inside], case.target[inside], 5, case.ignore_index)
    )
    assert kept[0, [0, 2]].sum() == 0


def test_images_are_numbered_by_their_sorted_ids_wherever_they_lie():
    runs = ImageRuns.of(np.array(["b", "b", "a", "c", "b"]))
    assert runs.num_images == 3
    assert list(zip(runs.starts, runs.stops, runs.images)) == [(0, 2, 1), (2, 3, 0), (3, 4, 2), (4, 5, 1)]


def test_no_pixel_is_no_image():
    runs = ImageRuns.of(np.zeros(0, np.int64))
    total, kept = growing_counts([np.zeros(0, np.uint8)], np.zeros(0, np.uint8), 2, runs, [0])
    assert runs.num_images == 0
    assert total.sum() == 0
    assert kept.shape == (1, 0, 3, 2)
