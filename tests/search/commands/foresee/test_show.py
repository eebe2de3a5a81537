"""What makes an expectation less sure than its interval says."""

import numpy as np
import pytest

from ensembling.foresight.foresee import Foreseen, Foresight
from search.commands.foresee.show import warnings


def foresight(iou, runs=8, changes=(0.1, 0.1, 0.1)):
    one, iou = Foreseen(0.4, 0.4, 0.3, 0.5), np.array(iou, float)
    return Foresight(one, (one,) * runs, changes, iou, iou, np.ones((2, iou.size)), np.ones(3), 0.9)


def test_a_pool_of_many_runs_that_have_learned_their_classes_gets_no_warning():
    assert warnings(foresight([0.9, 0.5, np.nan])) == []


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (foresight([0.9, 0.0, 0.4, np.nan]), "1 of 3 classes have an IoU below 0.01 on the holdout"),
        (foresight([0.9, 0.5], runs=3), "3 runs say little of each other"),
        (foresight([0.9, 0.5], changes=(-1.6, 0, 0)), "by more than any on which this method was tried"),
    ],
)
def test_what_was_seen_to_go_wrong_is_said(made, words):
    (said,) = warnings(made)
    assert words in said
