"""What a trial keeps belongs to an epoch that has a line, whatever the moment at which its process is killed."""

import os

import numpy as np
import pytest
import safetensors

from tests import tiny
from trainables.training import Trainer
from trainables.trial.files import TrialFiles
from trainables.trial.trial import Trial

pytestmark = pytest.mark.usefixtures("one_thread")

MOMENTS = range(16)  # more than a trial of three epochs renames files, twice: before and after each


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def scores(monkeypatch):
    """Each epoch that is trained takes the next of these scores, and its class maps hold how many were taken before."""
    scores, run_epoch = [], Trainer.run_epoch

    def run(self, keep=None, **how):
        record = run_epoch(self, keep=keep, **how)
        keep[:] = run.trained
        score, record["maps"] = scores.pop(0), run.trained
        run.trained += 1
        return record | {"holdout/miou": score}

    run.trained = 0
    monkeypatch.setattr(Trainer, "run_epoch", run)
    return scores


def kill_at(monkeypatch, moment):
    """End the process when it is about to give a file its name, or has just done so, for the `moment`-th time."""
    replace, moments = os.replace, iter(range(1000))

    def killing(old, new):
        if next(moments) == moment:
            raise Killed
        replace(old, new)
        if next(moments) == moment:
            raise Killed

    monkeypatch.setattr(os, "replace", killing)


def train(study, files, epochs):
    trial = Trial(tiny.config(epochs=3), study, files)
    for _ in range(epochs):
        trial.next_epoch()


def check_kept(study, files):
    kept = study.kept(files.records())
    assert np.unique(np.load(files.best_maps)).tolist() == [kept["maps"]]
    with safetensors.safe_open(files.best_weights, "pt") as opened:
        assert opened.metadata() == {"epoch": str(kept["epoch"])}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_what_is_kept_and_its_score_together(study, tmp_path, monkeypatch, scores, moment):
    """The second epoch is the best, but not where it is trained again after the kill."""
    files = TrialFiles(tmp_path / "0001")
    scores += [0.5, 0.9, 0.3, 0.1, 0.1]
    train(study, files, 1)
    with monkeypatch.context() as patched:
        kill_at(patched, moment)
        with pytest.raises(Killed):
            train(study, files, 2)
    resumed = Trial(tiny.config(epochs=3), study, files)
    while not resumed.finished:
        resumed.next_epoch()
        check_kept(study, files)
    assert not list(files.directory.glob("epoch_*"))


def test_a_trial_that_is_not_resumed_keeps_what_is_recorded(study, tmp_path, monkeypatch, scores):
    seen = set()
    for moment in MOMENTS:
        files = TrialFiles(tmp_path / f"{moment + 1:04d}")
        scores[:] = [0.5, 0.9, 0.1]
        train(study, files, 1)
        with monkeypatch.context() as patched:
            kill_at(patched, moment)
            with pytest.raises(Killed):
                train(study, files, 2)
        records = files.records()
        files.keep_epoch(study.kept(records)["epoch"], len(records))
        check_kept(study, files)
        seen.add(len(records))
    assert seen == {1, 2}


def test_epochs_that_are_trained_again_leave_nothing_behind(study, tmp_path, scores):
    files = TrialFiles(tmp_path / "0001")
    scores += [0.9, 0.5]
    train(study, files, 1)
    files.state.unlink()
    Trial(tiny.config(epochs=3), study, files)._resume(Trainer(tiny.config(epochs=3), study))
    assert not files.best_maps.exists()
    assert not files.best_weights.exists()
    assert files.records() == []
