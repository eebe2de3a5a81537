import numpy as np
import pytest

from ensembling.assessment.bootstrap import Interval, bootstrap_mious, interval
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


def test_standard_error_is_the_spread_of_other_holdouts():
    scores = [float(miou_from_counts(made_counts(1, 40, seed)[0].sum(axis=0))) for seed in range(100, 220)]
    errors = [interval(0, bootstrap_mious(made_counts(1, 40, seed), 0, 400)[:, 0]).standard_error for seed in range(5)]
    assert np.mean(errors) == pytest.approx(np.std(scores), rel=0.2)


def test_a_gain_of_votes_on_the_same_images_is_surer_than_either_score():
    drawn = bootstrap_mious(made_counts(2, 40, seed=3), seed=0)
    gain = interval(0, drawn[:, 0] - drawn[:, 1])
    alone = np.hypot(*drawn.std(axis=0))
    assert gain.standard_error < 0.9 * alone


def test_a_vote_gains_nothing_over_itself():
    counts = made_counts(1, 10, seed=0)
    drawn = bootstrap_mious(np.concatenate([counts, counts]), seed=0)
    assert interval(0, drawn[:, 0] - drawn[:, 1]) == Interval(0, 0, 0, 0)


@pytest.mark.parametrize(("value", "within"), [(0.02, True), (0.0201, False), (-0.1, True), (0.0, True)])
def test_a_gain_no_larger_than_its_error_is_within_it(value, within):
    assert Interval(value, 0.02, -1, 1).within_error is within


def test_interval_holds_the_middle_19_in_20():
    assert interval(0.5, np.arange(1001.0)) == Interval(0.5, pytest.approx(289.1, abs=0.1), 25, 975)
