"""What is said of a score beside the one that the selection expected."""

import pytest

from search.commands.predict.scores import _beside_expected


@pytest.mark.parametrize(
    ("value", "error", "expected", "words"),
    [
        (0.50, 0.02, (0.52, 0.02), "; its selection expected 0.5200 ± 0.0200, and the score is within that"),
        (
            0.40,
            0.02,
            (0.52, 0.02),
            "0.1200 below that, more than chance explains: these photos differ from those of the holdout",
        ),
        (0.64, 0.02, (0.52, 0.02), "0.1200 above that"),
        (0.50, None, (0.52, 0.02), "; its selection expected 0.5200 ± 0.0200"),
        (0.50, 0.02, (0.52, 0.0), "; its selection expected 0.5200"),
        (0.50, 0.02, None, ""),
    ],
)
def test_a_score_is_held_against_what_was_expected(value, error, expected, words):
    assert _beside_expected(value, error, expected).endswith(words) or words in _beside_expected(value, error, expected)
