"""Pixels on which candidates disagree in as many ways as a byte allows."""

import numpy as np
import pytest

from ensembling.counting import comparing, grouping
from ensembling.counting.table import build_table
from ensembling.scores import confusion_matrix, counts_from_confusion
from tests.ensembling import naive


def test_a_pixel_with_all_256_values_has_room(monkeypatch):
    """The kernel runs as plain Python, where an index beyond an array's end raises."""
    monkeypatch.setattr(comparing, "lowest_bit", lambda word: (int(word) & -int(word)).bit_length() - 1)
    monkeypatch.setattr(comparing, "_split_third", comparing._split_third.py_func)
    monkeypatch.setattr(grouping, "split", comparing.split.py_func)
    tile = np.arange(256, dtype=np.uint8)[:, None]
    changes, who = np.zeros((3, 64), np.uint8), np.zeros((2, 4, 64), np.uint64)
    comparing.compare(tile, 1, changes, who)
    places = np.arange(256, dtype=np.uint16)
    room = grouping.make_room(256, 255, 1)
    room.used[:] = 0
    everything = (tile, changes, who, np.zeros(1, np.int64), np.full(1, 7, np.uint8))
    assert grouping._emit_others.py_func(*everything, grouping.Ids(places, places), np.zeros(257, np.int64), room)
    assert room.used[3:].tolist() == [1, 256, 255]
    assert room.classes[:256].tolist() == list(range(256))


@pytest.mark.parametrize("winner", [0, 254])
def test_such_a_pixel_is_counted_right(winner):
    predictions = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    predictions[:, 1] = winner
    target = np.array([winner, winner, 255], np.uint8)
    table = build_table(list(predictions), target, 255)
    confusion = confusion_matrix(naive.vote(predictions, 255), target, 255)
    np.testing.assert_array_equal(table.vote_counts(range(256), [0]), counts_from_confusion(confusion))
