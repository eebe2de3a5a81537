"""Agreement and confidence on counts that can be worked out by hand, and on pools whose truth is known."""

import numpy as np
import pytest

from ensembling.foresight.agreement_counts import AgreementCounter
from ensembling.foresight.evidence import (
    agreement,
    agreement_change,
    confidence_change,
    counts_of,
    expected_confusions,
    from_probit,
    probit,
)
from ensembling.scores import counts_from_confusion, miou_from_counts
from tests.ensembling.foresight.made import look_at


def seen(*maps):
    """What runs of one line of pixels say; the first run is the vote."""
    counter = AgreementCounter(len(maps), 3)
    counter.add(np.array(maps, np.uint8)[:, None], np.array(maps[:1], np.uint8))
    return counter.counts()


def test_agreement_is_iou_with_the_other_as_target():
    iou = agreement(seen([0, 0, 0, 1], [0, 0, 1, 1]))
    assert iou[0, 1, :2] == pytest.approx([2 / 3, 1 / 2])
    assert iou[1, 0] == pytest.approx(iou[0, 1], nan_ok=True)
    assert np.isnan(iou[0, 1, 2])  # neither predicts it


def test_change_of_agreement_leaves_out_the_run_itself():
    before, after = seen([0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1]), seen([0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1])
    change = agreement_change(before, after)
    fewer, equal, more = (float(probit(share)) for share in ((2 / 3 + 1 / 2) / 2, (2 / 3 + 1 / 2) / 2, 1))
    assert change[0] == pytest.approx(((fewer - more) + 0) / 2)
    assert change[2] == pytest.approx((0 + (more - equal)) / 2)
    assert agreement_change(before, before) == pytest.approx(0)


def test_one_run_alone_agrees_with_nobody():
    assert agreement_change(seen([0, 1]), seen([0, 0]))[0] == 0


def test_probits_go_back_and_stay_finite():
    shares = np.array([0.01, 0.5, 0.9])
    assert from_probit(probit(shares)) == pytest.approx(shares)
    assert np.isfinite(probit([0.0, 1.0])).all()


def test_on_the_holdout_itself_the_expected_confusions_are_the_true_ones():
    holdout = look_at(12, harder=0.0, seed=1)
    expected = expected_confusions(holdout, holdout.counts)
    assert expected == pytest.approx(holdout.confusions, abs=30)  # of 9,216 pixels: what cells borrow of each other
    assert confidence_change(holdout, holdout.counts) == pytest.approx(0)


def test_other_class_shares_are_expected_exactly():
    """Where labels follow from class and support alone, the new photos' confusions are known but for chance."""
    holdout = look_at(60, harder=0.0, seed=1)
    photos = look_at(60, harder=0.0, seed=2)
    expected = miou_from_counts(counts_of(expected_confusions(holdout, photos.counts)))
    true = miou_from_counts(counts_of(photos.confusions))
    assert expected == pytest.approx(true, abs=0.01)


def test_counts_of_confusions_are_those_of_each():
    confusions = np.arange(18).reshape(2, 3, 3)
    assert np.array_equal(counts_of(confusions), np.stack([counts_from_confusion(one) for one in confusions]))
