"""What a resumed study is told of the trials that an earlier command left, ended or not."""

import io
import threading
from dataclasses import replace
from types import SimpleNamespace

from optuna.trial import TrialState
from rich.console import Console

from search.screen.progress import Progress
from search.screen.screen import Screen
from search.study.space import make_space
from search.tuning.cluster.resources import Resources
from search.tuning.plan import Plan
from search.tuning.tuner import StudyTuner
from tests import tiny
from trainables.config import TrialConfig
from trainables.files import write_json


class Told:
    """A tracker that notes what it is told; `ended` are the verdicts that it had before, by number."""

    trials_told = 0

    def __init__(self, ended=None):
        self._had_ended, self.ended, self.epochs = ended or {}, {}, {}

    def has_ended(self, number, verdict):
        return self._had_ended.get(number) == verdict

    def start_trial(self, number, params):
        pass

    def log_epochs(self, number, records):
        self.epochs[number] = len(records)

    def end_trial(self, number, status, tags, artifacts):
        self.ended[number] = (status, tags["segvote.verdict"])

    def log_study(self, metrics):
        pass


def left_behind(study, number, scores, at, *, verdict=None):
    """A trial as a killed driver leaves it, whose first epoch ended at the time `at`."""
    files = study.trial_files(number)
    write_json(files.suggestion, {"params": tiny.params(epochs=9), "sampled": {"lr": number / 1000}})
    for epoch, score in enumerate(scores, start=1):
        files.append_record({"epoch": epoch, "holdout/miou": score, "epoch_s": 1.0, "time": at + epoch / 10})
    if verdict:
        write_json(files.verdict, {"status": verdict, "epochs": len(scores), "failure": None})
    return files


def resumed_tuner(study, settings, tracker):
    settings = replace(settings, space="quickstart", trials=9, epochs=9, grace_period=1, scheduler="stop")
    space = make_space(settings)
    configs = [TrialConfig.from_dict(space.first())]
    plan = Plan(study, settings, space, [], configs, Resources(cpus=1, gpus=0.0, concurrency=1))
    assert plan.rungs == (1, 3)
    screen = Screen(Progress(total=9, epochs=9), Console(file=io.StringIO()), "mine")
    return StudyTuner(plan, tracker, screen)


def test_the_decision_that_the_driver_died_on_is_taken_again(study, settings):
    """Between the ledger's line and verdict.json: the trial was stopped, and must not be trained further."""
    left_behind(study, 1, [0.3, 0.4], at=0.0, verdict="stopped")
    files = left_behind(study, 2, [0.1], at=1.0)
    files.state.write_bytes(b"what a second epoch would go on from")
    goes_on = left_behind(study, 3, [0.5], at=2.0)
    tracker = Told(ended={1: "stopped at the rung of epoch 2"})
    tuner = resumed_tuner(study, settings, tracker)
    assert files.read_verdict() == {"status": "stopped", "epochs": 1, "failure": None}
    assert not files.state.exists()
    assert tracker.ended == {2: ("FINISHED", "stopped at the rung of epoch 1")}
    assert goes_on.read_verdict() is None
    # One that goes on counts for TPE by what it has scored so far, as one that was stopped there.
    assert [one.state for one in tuner._searcher.study.trials] == [TrialState.PRUNED] * 3
    assert tuner._searcher.suggest("x")["number"] == 3
    assert tuner._ended == 2


def test_a_trial_that_ended_without_mlflow_is_told_to_it(study, settings):
    left_behind(study, 1, [0.3, 0.4], at=0.0, verdict="stopped")
    tracker = Told()
    resumed_tuner(study, settings, tracker)
    assert tracker.ended == {1: ("FINISHED", "stopped at the rung of epoch 2")}
    assert tracker.epochs == {1: 2}


def test_a_trial_that_mlflow_knows_as_it_broke_is_told_to_it_as_it_ended_later(study, settings):
    left_behind(study, 1, [0.3, 0.4], at=0.0, verdict="stopped")
    tracker = Told(ended={1: "failed: the disk is full"})
    resumed_tuner(study, settings, tracker)
    assert tracker.ended == {1: ("FINISHED", "stopped at the rung of epoch 2")}


def test_a_driver_that_dies_before_the_verdict_is_written_hands_out_the_trial_again(study, settings, monkeypatch):
    """All epochs are in the ledger, and the thread that was to bring the trial to its end never came to it."""
    reached, never = threading.Event(), threading.Event()

    def hang(*_):
        reached.set()
        never.wait()

    monkeypatch.setattr("search.tuning.outcome_recorder.keep_outcome", hang)
    files = left_behind(study, 1, [0.3] * 9, at=0.0)
    first = resumed_tuner(study, settings, Told())
    one = SimpleNamespace(config=first._searcher.suggest("a"), last_result={"epoch": 9}, error_file=None)
    first._callback.on_trial_start(0, [], one)
    first._callback.on_trial_complete(0, [], one)
    assert reached.wait(60)
    assert not first._callback.finish(0.01)
    assert not files.verdict.exists()
    monkeypatch.undo()
    tracker = Told()
    resumed = resumed_tuner(study, settings, tracker)
    assert resumed._searcher.suggest("b")["number"] == 1  # its process finds all epochs trained, and reports the last
    resumed._callback.on_trial_start(0, [], one)
    resumed._callback.on_trial_complete(0, [], one)
    assert resumed._callback.finish()
    assert files.read_verdict() == {"status": "completed", "epochs": 9, "failure": None}
    assert (tracker.ended, tracker.epochs) == ({1: ("FINISHED", "completed")}, {1: 9})
