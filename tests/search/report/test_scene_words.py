"""The plan and the report say what shared scenes mean."""

import pytest

from search.report.scene_words import scene_warnings, scenes_line
from trainables.data.scenes import Overlap

CAMVID = Overlap(3, 367, 1, 101, 1, 101, (("frames of a sequence", 468),))


def test_a_holdout_of_a_sequence_in_training_is_told():
    shared, few = scene_warnings(CAMVID)
    assert shared == (
        "101 of 101 holdout photos are from 1 sequence that training has, too: the score will be too high for photos "
        "of new scenes. `--holdout scenes` takes whole scenes instead."
    )
    assert few == ("The holdout has 1 sequence: with fewer than 5 no interval can be given for photos of other scenes.")


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap(340, 340, 60, 60, 0, 0), []),
        (Overlap(30, 300, 6, 60, 0, 0, (("a declared group", 360),)), []),
        (Overlap(2, 300, 4, 60, 0, 0, (("a declared group", 360),)), ["The holdout has 4 scenes: with fewer than 5"]),
        (
            Overlap(266, 267, 68, 68, 1, 1, (("the same picture", 2),)),
            ["1 of 68 holdout photos are from 1 scene that training has, too"],
        ),
        (Overlap(1, 80, 1, 20, 1, 20), ["All photos are of one scene", "The holdout has 1 scene"]),
    ],
)
def test_what_is_said_follows_from_the_numbers(overlap, expected):
    words = scene_warnings(overlap)
    assert len(words) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, words))


def test_the_plan_says_how_photos_were_put_together():
    assert scenes_line(CAMVID) == (
        "3 in training, 1 in the holdout, 1 in both (put together: 468 photos by frames of a sequence)"
    )
    assert scenes_line(Overlap(340, 340, 60, 60, 0, 0)) == (
        "340 in training, 60 in the holdout, 0 in both (no photos belong together)"
    )
