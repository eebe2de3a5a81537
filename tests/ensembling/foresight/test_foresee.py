"""What is foreseen on pools whose truth is known by construction."""

import numpy as np
import pytest

from ensembling.foresight.evidence import counts_of
from ensembling.foresight.foresee import foresee
from ensembling.scores import miou_from_counts
from tests.ensembling.foresight.made import look_at


@pytest.fixture(scope="module")
def holdout():
    return look_at(40, harder=0.0, seed=1)


def truth(photos):
    return miou_from_counts(counts_of(photos.confusions))


def test_like_photos_score_alike(holdout):
    photos = look_at(40, harder=0.0, seed=2)
    foresight, true = foresee(holdout, photos.counts), truth(photos)
    assert foresight.vote.expected == pytest.approx(true[-1], abs=0.01)
    assert foresight.vote.low < true[-1] < foresight.vote.high
    for own, score in zip(foresight.runs, true, strict=False):
        assert own.expected == pytest.approx(score, abs=0.015)
    assert foresight.losing() == []


@pytest.mark.parametrize("harder", [-0.3, 0.2, 0.4, 0.7])
def test_the_change_on_harder_photos_is_foreseen(holdout, harder):
    photos = look_at(40, harder=harder, seed=3)
    foresight, true = foresee(holdout, photos.counts), truth(photos)
    nothing = abs(truth(holdout)[-1] - true[-1])
    assert abs(foresight.vote.expected - true[-1]) < 0.5 * nothing
    assert foresight.vote.low < true[-1] < foresight.vote.high
    errors = [abs(own.expected - score) for own, score in zip(foresight.runs, true, strict=False)]
    assert np.mean(errors) < 0.5 * np.mean(abs(truth(holdout) - true)[:-1])


def test_the_more_it_changes_the_wider_the_interval(holdout):
    widths = [
        one.high - one.low
        for one in (foresee(holdout, look_at(20, harder=harder, seed=4).counts).vote for harder in (0.0, 0.3, 0.6))
    ]
    assert widths == sorted(widths)


def test_a_known_score_takes_the_place_of_the_optimistic_one(holdout):
    foresight = foresee(holdout, holdout.counts, holdout_miou=0.5)
    assert foresight.vote.holdout == 0.5
    assert foresight.vote.expected == pytest.approx(0.5, abs=1e-6)


def test_the_hardest_photos_are_named(holdout):
    easy, hard = look_at(5, harder=0.0, seed=5), look_at(2, harder=1.0, seed=6)
    photos = type(easy.counts)(
        easy.counts.together + hard.counts.together,
        easy.counts.support + hard.counts.support,
        np.concatenate([easy.counts.of_photos, hard.counts.of_photos]),
    )
    foresight = foresee(holdout, photos)
    assert set(foresight.least_like(2)) == {5, 6}
    assert foresight.support[5:].max() < foresight.holdout_support


def test_the_class_that_loses_most_is_named(holdout):
    """Only pixels where the runs say class 3 become doubtful."""
    photos = look_at(40, harder=0.0, seed=7)
    doubtful = look_at(40, harder=0.9, seed=7)
    support, together = photos.counts.support.copy(), photos.counts.together.copy()
    support[:, 3], together[..., 3] = doubtful.counts.support[:, 3], doubtful.counts.together[..., 3]
    foresight = foresee(holdout, type(photos.counts)(together, support, photos.counts.of_photos))
    assert foresight.losing()[0] == 3


def test_a_class_that_is_nowhere_has_no_expectation(holdout):
    counts = holdout.counts
    support, together = counts.support.copy(), counts.together.copy()
    support[:, 2], together[..., 2] = 0, 0
    foresight = foresee(holdout, type(counts)(together, support, counts.of_photos))
    assert np.isnan(foresight.expected_iou[2])
    assert not np.isnan(foresight.expected_iou[[0, 1, 3]]).any()
