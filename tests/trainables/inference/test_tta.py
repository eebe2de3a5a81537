"""What is looked at, and how often."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.errors import UserError
from trainables.inference.tta import TestTimeAugmentation, window_corners, window_weights


def test_words_of_the_command_line():
    assert TestTimeAugmentation.parse(["scales=0.75,1,1.5", "flip"]) == TestTimeAugmentation(
        (0.75, 1.0, 1.5), flip=True
    )
    assert TestTimeAugmentation.parse([]) == TestTimeAugmentation()
    assert TestTimeAugmentation().plain
    assert not TestTimeAugmentation.parse([], window=True, overlap=0.25).plain


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["mirror"], "mirror"),
        (["scales=1,big"], "scales=1,big"),
        (["scales="], "scales="),
        (["scales=1,1"], "none twice"),
        (["scales=0"], "0 is not from"),
        (["scales=nan"], "nan is not from"),
        (["scales=9"], "9 is not from"),
    ],
)
def test_other_words_are_refused_by_name(words, named):
    with pytest.raises(UserError, match=named):
        TestTimeAugmentation.parse(words)


@pytest.mark.parametrize("overlap", [-0.1, 0.95, float("nan")])
def test_an_overlap_out_of_range_is_refused(overlap):
    with pytest.raises(UserError, match="--overlap"):
        TestTimeAugmentation(window=True, overlap=overlap)


def test_an_overlap_without_windows_is_refused():
    with pytest.raises(UserError, match=r"--overlap 0\.25 is for windows: give --window"):
        TestTimeAugmentation.parse(["flip"], overlap=0.25)


def test_views_come_back_from_plain_values():
    views = TestTimeAugmentation((0.5, 1.25), flip=True, window=True, overlap=0.25)
    assert TestTimeAugmentation.from_dict(views.to_dict()) == views


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 100), st.floats(0, 0.9))
def test_windows_cover_everything_with_the_overlap(height, width, more, overlap):
    window, size = (height, width), (height + more, width + more // 2)
    corners = window_corners(size, window, overlap)
    covered = np.zeros(size, int)
    for y, x in corners:
        assert 0 <= y <= size[0] - height
        assert 0 <= x <= size[1] - width
        covered[y : y + height, x : x + width] += 1
    assert covered.min() >= 1
    for axis, side in enumerate(window):
        starts = sorted({corner[axis] for corner in corners})
        step = max(1, round(side * (1 - overlap)))
        assert all(after - before <= step for before, after in pairwise(starts))


def test_a_photo_of_the_windows_size_is_one_window():
    assert window_corners((8, 6), (8, 6), 0.5) == [(0, 0)]


def test_a_window_counts_most_in_its_middle():
    weights = window_weights((5, 7))
    assert weights.shape == (5, 7)
    assert weights.min() > 0
    assert weights.argmax() == 2 * 7 + 3
    assert np.array_equal(weights, weights[::-1, ::-1])
