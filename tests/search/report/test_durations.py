"""Lengths of time in words."""

import pytest

from search.report.durations import duration, short_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (600, "10 min"),
        (3600, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (47.5 * 3600, "47 h 30 min"),
        (4 * 86400, "4 days"),
    ],
)
def test_durations_are_as_exact_as_an_estimate_deserves(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (89, "89 s"),
        (3569, "59 min"),
        (3571, "1.0 h"),
        (7800, "2.2 h"),
        (47.9 * 3600, "47.9 h"),
        (300 * 86400, "300 d"),
    ],
)
def test_in_a_table_they_have_six_characters(seconds, text):
    assert short_duration(seconds) == text
    assert len(text) <= 6
