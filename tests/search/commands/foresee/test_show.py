"""What is shown of an expectation, and what makes it less sure than its interval says."""

import dataclasses
import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from ensembling.foresight.foresee import Foreseen, Foresight
from search.commands.foresee.show import show_foresight, warnings


def foresight(iou, runs=8, changes=(0.1, 0.1, 0.1)):
    one, iou = Foreseen(0.4, 0.4, 0.3, 0.5), np.array(iou, float)
    return Foresight(one, (one,) * runs, changes, iou, iou, np.ones((2, iou.size)), np.ones(3), 0.9)


def test_photos_on_which_runs_agree_as_on_the_holdout_are_not_called_unlike_it():
    made = dataclasses.replace(foresight([0.9, 0.5], runs=2), support=np.array([0.95, 0.7, 0.9]))
    photos = [SimpleNamespace(file_name=f"{name}.jpg") for name in "abc"]
    ensemble = SimpleNamespace(members=[SimpleNamespace(name="r1"), SimpleNamespace(name="r2")], class_names=("A", "B"))
    console = Console(file=io.StringIO(), width=150)
    show_foresight(made, SimpleNamespace(photos=photos, ensemble=ensemble), 2, console)
    said = console.file.getvalue()
    assert "unlike    b.jpg: 70% of the runs agree with the vote, and 90% on the holdout" in said
    assert said.count("unlike ") == 1


def test_a_pool_of_many_runs_that_have_learned_their_classes_gets_no_warning():
    assert warnings(foresight([0.9, 0.5, np.nan])) == []


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (foresight([0.9, 0.0, 0.4, np.nan]), "1 of 3 classes have an IoU below 0.01 on the holdout"),
        (foresight([0.9, 0.5], runs=3), "The estimate rests on 3 runs"),
        (foresight([0.9, 0.5], changes=(-1.6, 0, 0)), "by more than any on which this method was tried"),
    ],
)
def test_what_was_seen_to_go_wrong_is_said(made, words):
    (said,) = warnings(made)
    assert words in said
