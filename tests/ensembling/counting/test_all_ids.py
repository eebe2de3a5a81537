"""Pixels on which candidates disagree in as many ways as a byte allows."""

import numpy as np
import pytest

from ensembling.counting import build_table
from ensembling.counting.compare_candidates import list_classes
from ensembling.scores import confusion_matrix, counts_from_confusion
from tests.ensembling.recounted import naive


def test_a_pixel_with_all_256_values_stays_within_the_arrays():
    """The kernel runs as plain Python, where an index beyond an array's end raises."""
    tile = np.arange(256, dtype=np.uint8)[::-1, None]
    classes, masks = np.empty(256, np.uint8), np.empty((4, 256), np.uint64)
    assert list_classes.py_func(tile, 0, 256, classes, masks) == 256
    assert classes.tolist() == list(range(256))
    assert [masks[3 - class_id // 64, class_id] for class_id in range(256)] == [
        1 << (63 - class_id % 64) for class_id in range(256)
    ]


@pytest.mark.parametrize("winner", [0, 100, 254])
def test_such_a_pixel_is_counted_right(winner):
    predictions = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    predictions[:, 1] = winner
    target = np.array([winner, winner, 255], np.uint8)
    table = build_table(list(predictions), target, 255)
    confusion = confusion_matrix(naive.vote(predictions, 255), target, 255)
    np.testing.assert_array_equal(table.vote_counts(range(256)), counts_from_confusion(confusion))
