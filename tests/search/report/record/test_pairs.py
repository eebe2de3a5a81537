"""One factor at a time, on grids whose effects are known."""

import itertools

import numpy as np
import pytest
from scipy.stats import ttest_rel

from search.report.record.pairs import compare_pairs
from search.report.record.study_record import read_study_record
from tests.search.report import made

LOSSES, FOLDS, SEEDS = ("ce", "ce_dice_3_1", "focal"), (0, 1), (0, 1)
EFFECT = {"ce": 0.0, "ce_dice_3_1": 0.03, "focal": -0.05}
POINTS = [
    {"loss": loss, "fold": fold, "seed": seed, "lr": 0.1}
    for seed, fold, loss in itertools.product(SEEDS, FOLDS, LOSSES)
]


def noisy(point):
    """Folds differ far more than losses do; what is left is small noise."""
    noise = np.random.default_rng([LOSSES.index(point["loss"]), point["fold"], point["seed"]]).normal(0, 0.004)
    return 0.5 + EFFECT[point["loss"]] - 0.2 * point["fold"] + float(noise)


def test_differences_are_paired_by_fold_and_seed(study):
    made.make_grid(study, POINTS, noisy)
    (comparison,) = compare_pairs(read_study_record(study))
    assert (comparison.factor, comparison.reference) == ("loss", "ce")
    assert [one.value for one in comparison.differences] == list(LOSSES)
    reference, dice, focal = comparison.differences
    assert len(reference.scores) == 4
    for one in (dice, focal):
        scores = [[noisy(point) for point in POINTS if point["loss"] == loss] for loss in (one.value, "ce")]
        expected = ttest_rel(*scores)
        assert one.pairs == 4
        assert one.mean == pytest.approx(np.subtract(*scores).mean())
        assert (one.low, one.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (dice.verdict, focal.verdict) == ("better", "worse")


def test_a_difference_within_the_noise_is_not_shown(study):
    made.make_grid(study, POINTS, lambda point: 0.5 + 0.01 * ((point["fold"] + point["seed"] + len(point["loss"])) % 2))
    (comparison,) = compare_pairs(read_study_record(study))
    assert {one.verdict for one in comparison.differences[1:]} <= {"not shown to differ", "better", "worse"}
    assert comparison.differences[1].verdict == "not shown to differ"


def test_one_pair_has_no_interval(study):
    made.make_grid(study, POINTS[:2], noisy)
    (comparison,) = compare_pairs(read_study_record(study))
    assert comparison.differences[1].pairs == 1
    assert comparison.differences[1].low is None
    assert comparison.differences[1].verdict == "one pair: cannot tell"


def test_trials_that_differ_in_more_are_no_pair(study):
    made.make_grid(study, [{"loss": "ce", "lr": 0.1}, {"loss": "focal", "lr": 0.2}], lambda point: 0.5)
    assert compare_pairs(read_study_record(study)) == []


def test_each_factor_of_a_grid_has_its_own_pairs(study):
    points = [{"loss": loss, "lr": lr, "seed": 0} for loss in ("ce", "focal") for lr in (0.1, 0.2, 0.4)]
    made.make_grid(study, points, lambda point: 0.5)
    found = {
        one.factor: [difference.pairs for difference in one.differences]
        for one in compare_pairs(read_study_record(study))
    }
    assert found == {"lr": [0, 2, 2], "loss": [0, 3]}
