"""Which epoch of a trial is kept: the best on the holdout, or the last, also where nothing is scored."""

import dataclasses

import numpy as np
import pytest
import safetensors

from tests import tiny
from trainables.data import Splits
from trainables.trial.files import TrialFiles
from trainables.trial.trial import Trial

pytestmark = pytest.mark.usefixtures("one_thread")
EVERYTHING = Splits(holdout=(), folds=(tuple(range(8)),), test=(), seed=0)


def scores(*values):
    return [{"epoch": epoch, "holdout/miou": value} for epoch, value in enumerate(values, start=1)]


def test_the_first_of_the_best_epochs_or_the_last_is_kept(study):
    last = dataclasses.replace(study, keep_last=True)
    records = scores(0.2, 0.5, 0.5, 0.1)
    assert (study.kept(records)["epoch"], last.kept(records)["epoch"]) == (2, 4)
    assert (study.kept_score(records), last.kept_score(records)) == (0.5, 0.1)
    assert (study.kept([]), last.kept_score([])) == (None, None)


def test_without_a_holdout_there_is_no_score(study):
    unscored = dataclasses.replace(study, splits=EVERYTHING, keep_last=True)
    assert (study.scored, unscored.scored) == (True, False)
    assert unscored.kept_score([{"epoch": 1, "train/loss": 1.0}]) is None


def train(study, files, epochs):
    for _ in range(epochs):  # each in a process of its own
        Trial(tiny.config(epochs=epochs), study, files).next_epoch()
    with safetensors.safe_open(files.best_weights, "pt") as opened:
        return opened.metadata()["epoch"]


def test_a_trial_on_all_photos_keeps_its_last_epoch_and_scores_nothing(study, tmp_path):
    files = TrialFiles(tmp_path / "0001")
    assert train(dataclasses.replace(study, splits=EVERYTHING, keep_last=True), files, 2) == "2"
    for record in files.records():
        assert not [key for key in record if key.startswith(("holdout", "fold"))]
    assert not files.best_maps.exists()


def test_a_holdout_that_is_kept_is_scored_and_chooses_nothing(study, tmp_path, monkeypatch):
    falling = iter([0.9, 0.1])
    monkeypatch.setattr("trainables.training.miou", lambda confusion: next(falling))
    files = TrialFiles(tmp_path / "0001")
    assert train(dataclasses.replace(study, keep_last=True), files, 2) == "2"
    assert [record["holdout/miou"] for record in files.records()] == [0.9, 0.1]
    assert np.load(files.best_maps).size == 2 * tiny.WIDTH * tiny.HEIGHT
