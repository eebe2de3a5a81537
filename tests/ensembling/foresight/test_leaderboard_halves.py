"""How far two halves of a test differ, against tests that are really cut in two."""

import numpy as np
import pytest

from ensembling.foresight.leaderboard_halves import halves_of_test
from ensembling.scores import miou_from_counts


def made_counts(groups, seed=0):
    """Of a vote and a worse one on photos of 100 pixels and three classes, photo by photo."""
    rng = np.random.default_rng(seed)
    labelled = rng.multinomial(100, (0.6, 0.3, 0.1), size=groups)
    found = []
    for skill in (0.8, 0.75):
        hard = rng.beta(8 * skill, 8 * (1 - skill), size=(groups, 1))
        hits = rng.binomial(labelled, hard)
        predicted = hits + np.roll(labelled - hits, 1, axis=1)
        found.append(np.stack([hits, predicted, labelled], axis=1))
    return np.array(found)


def test_real_halves_differ_as_much():
    counts = made_counts(4000)
    halves = halves_of_test(counts, 60)
    rng = np.random.default_rng(1)
    gaps, leads = [], []
    for _ in range(1500):
        rows = rng.permutation(4000)[:60]
        first, second = (miou_from_counts(counts[:, half].sum(axis=1)) for half in (rows[:30], rows[30:]))
        gaps.append(abs(first[0] - second[0]))
        leads.append((first[0] - first[1], second[0] - second[1]))
    assert halves.gap_median == pytest.approx(np.median(gaps), rel=0.1)
    assert halves.gap_95 == pytest.approx(np.percentile(gaps, 95), rel=0.1)
    assert halves.swapped == pytest.approx(np.mean([one * other < 0 for one, other in leads]), abs=0.04)


def test_four_times_the_photos_half_the_gap():
    counts = made_counts(500)
    few, many = (halves_of_test(counts, photos).gap_median for photos in (100, 400))
    assert many == pytest.approx(few / 2, rel=0.1)


def test_photos_that_belong_together_count_as_few():
    counts = made_counts(200)
    alone, together = halves_of_test(counts, 100), halves_of_test(counts, 400, photos_per_group=4.0)
    assert (together.gap_median, together.gap_95) == (alone.gap_median, alone.gap_95)


@pytest.mark.parametrize(("groups", "photos", "per_group"), [(1, 100, 1.0), (50, 10, 40.0)])
def test_too_few_groups_are_refused(groups, photos, per_group):
    with pytest.raises(ValueError, match="make no two halves"):
        halves_of_test(made_counts(groups), photos, photos_per_group=per_group)
