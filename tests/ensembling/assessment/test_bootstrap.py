"""The bootstrap over scenes: its draws, its intervals, and how often they hold the truth."""

import numpy as np
import pytest

from ensembling.assessment.bootstrap import (
    Interval,
    bootstrap_mious,
    degrees_of_freedom,
    influence,
    interval,
    shares_of_variance,
)
from ensembling.scores import miou_from_counts


def made_counts(votes, images, seed, num_classes=3, accuracy=0.7):
    """Counts of random predictions: every vote finds the same images hard."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((votes, images, 3, num_classes), np.int64)
    for image in range(images):
        target = rng.integers(0, num_classes, 50)
        hard = rng.uniform(0.5, 1.5)
        for vote in range(votes):
            right = rng.random(50) < 1 - (1 - accuracy) * hard
            guess = np.where(right, target, rng.integers(0, num_classes, 50))
            for class_id in range(num_classes):
                hits = ((guess == class_id) & (target == class_id)).sum()
                counts[vote, image, :, class_id] = hits, (guess == class_id).sum(), (target == class_id).sum()
    return counts


def test_draws_are_those_of_images_with_replacement():
    counts = made_counts(2, 7, seed=0)
    times = np.random.default_rng(5).multinomial(7, np.full(7, 1 / 7), size=4)
    expected = [
        [float(miou_from_counts(np.repeat(vote, drawn, axis=0).sum(axis=0))) for vote in counts] for drawn in times
    ]
    np.testing.assert_allclose(bootstrap_mious(counts, seed=5, draws=4), expected, atol=1e-14)


def test_more_draws_than_a_block_are_all_drawn():
    drawn = bootstrap_mious(made_counts(1, 9, seed=1), seed=0, draws=700)
    assert drawn.shape == (700, 1)
    assert len(np.unique(drawn)) > 400


def interval_of(counts, seed=0, draws=2000):
    """The interval of the first vote's mIoU, or of its gain over the second where there are two."""
    mious = miou_from_counts(counts.sum(axis=1))
    drawn = bootstrap_mious(counts, seed, draws)
    scenes_with = (counts[0, :, 2] > 0).sum(axis=0)
    if len(counts) == 1:
        return interval(mious[0], drawn[:, 0], influence(counts[0]), scenes_with)
    between = influence(counts[0]) - influence(counts[1])
    return interval(mious[0] - mious[1], drawn[:, 0] - drawn[:, 1], between, scenes_with)


def test_standard_error_is_the_spread_of_other_holdouts():
    scores = [float(miou_from_counts(made_counts(1, 40, seed)[0].sum(axis=0))) for seed in range(100, 220)]
    errors = [interval_of(made_counts(1, 40, seed), draws=400).standard_error for seed in range(5)]
    assert np.mean(errors) == pytest.approx(np.std(scores), rel=0.2)


def test_influence_is_the_derivative_by_a_scenes_weight():
    counts = made_counts(1, 6, seed=4)[0]
    counts[:, :, 2] = 0  # a class that does not occur
    step = 1e-6
    for scene in range(6):
        more = counts.sum(axis=0) + step * counts[scene]
        slope = (miou_from_counts(more) - miou_from_counts(counts.sum(axis=0))) / step
        assert influence(counts)[scene].sum() == pytest.approx(slope, abs=1e-5)
    assert influence(counts).sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert not influence(counts)[:, 2].any()


def test_shares_of_the_variance_add_up_and_name_the_class_that_varies():
    counts = made_counts(1, 30, seed=2)[0]
    counts[:, 0, 0] = counts[:, 1, 0] = counts[:, 2, 0]  # always right
    shares = shares_of_variance(influence(counts))
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(0, abs=1e-12)
    assert not shares_of_variance(np.zeros((5, 3))).any()


def test_a_gain_of_votes_on_the_same_images_is_surer_than_either_score():
    counts = made_counts(2, 40, seed=3)
    alone = np.hypot(*bootstrap_mious(counts, seed=0).std(axis=0))
    assert interval_of(counts).standard_error < 0.9 * alone


def test_a_vote_gains_nothing_over_itself():
    counts = made_counts(1, 10, seed=0)
    assert interval_of(np.concatenate([counts, counts])) == Interval(0, 0, 0, 0)


@pytest.mark.parametrize(("value", "within"), [(0.02, True), (0.0201, False), (-0.1, True), (0.0, True)])
def test_a_gain_no_larger_than_its_error_is_within_it(value, within):
    assert Interval(value, 0.02, -1, 1).within_error is within


def test_a_gain_without_an_error_is_not_shown():
    assert Interval(0.5).within_error


def test_fewer_than_five_scenes_give_no_interval():
    assert interval_of(made_counts(1, 4, seed=1)) == Interval(pytest.approx(0.5, abs=0.3))
    assert interval_of(made_counts(1, 5, seed=1)).low is not None


def test_few_scenes_and_rare_classes_make_intervals_wider_than_the_normal_ones():
    many, few = (interval_of(made_counts(1, scenes, seed=1)) for scenes in (200, 6))
    assert (many.high - many.low) / many.standard_error == pytest.approx(3.95, abs=0.2)
    assert (few.high - few.low) / few.standard_error > 4.2
    counts = made_counts(1, 60, seed=1)
    assert degrees_of_freedom(influence(counts[0]), np.array([60, 60, 60])) > 60
    rare = counts.copy()
    rare[:, 3:, :, 2] = 0
    rare[0, 2, 0, 2] = 0  # right in two of its three photos
    assert degrees_of_freedom(influence(rare[0]), np.array([60, 60, 3])) < 10
    assert interval_of(rare).low <= float(miou_from_counts(rare[0].sum(axis=0))) <= interval_of(rare).high


def test_intervals_hold_the_truth_as_often_as_they_say():
    # Of a class in one photo of twenty, and of two common ones; the truth is that of very many photos.
    def counts_of(images, seed):
        rng = np.random.default_rng(seed)
        counts = made_counts(1, images, seed)
        counts[:, :, :, 2] *= (rng.random(images) < 0.05)[None, :, None]
        return counts

    truth = float(miou_from_counts(counts_of(6000, 1)[0].sum(axis=0)))
    found = [interval_of(counts_of(80, seed), draws=400) for seed in range(100, 220)]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.9
