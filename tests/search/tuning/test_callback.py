"""What the callback does where MLflow or the disk refuses: the study goes on, and nothing is lost."""

import io
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from mlflow.exceptions import RESOURCE_DOES_NOT_EXIST, MlflowException
from rich.console import Console

from search.screen.progress import Progress
from search.screen.screen import Screen
from search.study.trial_end import holdout_masks, write_target
from search.tuning.callback import StudyCallback
from search.tuning.live_vote import LiveVote
from search.tuning.outcome_recorder import OutcomeRecorder
from search.tuning.why_broken import DIED
from tests import tiny
from trainables.errors import UserError
from trainables.files import read_json, write_json, write_text

PARAMS = tiny.params(epochs=2)


class FlakyTracker:
    """Keeps what it is told of trial 1, and refuses everything while `away`."""

    def __init__(self):
        self.away = False
        self.epochs, self.ended, self.params, self.study, self.trials_told = [], None, None, [], 0

    def _answer(self):
        if self.away:
            raise ConnectionError("MLflow is away")

    def start_trial(self, number, params):
        self._answer()
        self.params = params

    def log_epochs(self, number, records):
        self._answer()
        self.epochs += [record["epoch"] for record in records if record["epoch"] not in self.epochs]

    def pause_trial(self, number):
        self._answer()
        self.ended = "SCHEDULED"

    def end_trial(self, number, status, tags, artifacts):
        self._answer()
        self.ended = status

    def log_study(self, metrics):
        self._answer()
        self.study.append(metrics)
        self.trials_told = metrics["trials_done"]


@pytest.fixture
def tracker():
    return FlakyTracker()


class SlowTracker(FlakyTracker):
    """Answers once `gate` is open, and counts the questions."""

    def __init__(self):
        super().__init__()
        self.gate, self.asked = threading.Event(), []

    def _answer(self):
        self.asked.append(threading.current_thread().name)
        self.gate.wait()

    def log_epochs(self, number, records):
        super().log_epochs(number, records)
        self.asked[-1] += f" told {len(records)}"


@pytest.fixture
def callback(study, tracker, monkeypatch):
    monkeypatch.setattr("search.tracking.background_tracker.PAUSE_S", 0)
    monkeypatch.setattr("search.tuning.callback.LEDGER_WAIT_S", 0)
    return made_callback(study, tracker)


def made_callback(study, tracker, paused=()):
    screen = Screen(Progress(total=1, epochs=2), Console(file=io.StringIO(), width=200), "mine")
    recorder = OutcomeRecorder(study, tracker, epochs=2, last_rung=2)
    how = {"recorder": recorder, "vote": LiveVote(study, 2), "gpus_per_trial": 0}
    made = StudyCallback(study, tracker, screen, **how, stop_suggesting=lambda: screen.warn("no more"), paused=paused)
    packed = study.data.open((32, 48))
    write_target(study, packed, holdout_masks(study, packed))
    write_json(study.trial_files(1).config, PARAMS)
    write_text(study.trial_files(1).log, "epoch 1\n")
    return made


def shown(callback):
    return callback.screen.console.file.getvalue()


def trial(error_file=None, number=1, **last_result):
    config = {"number": number, "params": PARAMS}
    return SimpleNamespace(config=config, last_result=last_result, error_file=error_file)


def epoch(study, callback, number, *, in_ledger=True, wait=True):
    record = {"epoch": number, "holdout/miou": 0.1 * number, "train/loss": 1.0, "epoch_s": 2.0}
    if in_ledger:
        study.trial_files(1).append_record(record)
    callback.on_trial_result(0, [], trial(), {**record, "record": record, "pid": 7})
    if wait:
        callback.finish()


def end(study, callback, *, wait=True):
    np.save(study.trial_files(1).best_maps, np.zeros(2 * tiny.WIDTH * tiny.HEIGHT, np.uint8))
    callback.on_trial_complete(0, [], trial(epoch=2))
    if wait:
        callback.finish()


def test_a_trial_is_told_from_start_to_end(study, callback, tracker):
    callback.on_trial_start(0, [], trial())
    for number in (1, 2):
        epoch(study, callback, number)
    end(study, callback)
    assert (tracker.epochs, tracker.ended, callback.behind) == ([1, 2], "FINISHED", set())
    assert tracker.study[-1]["trials_done"] == 1


def test_a_picture_that_cannot_be_drawn_is_said_and_the_trial_has_ended(study, callback, tracker, monkeypatch):
    monkeypatch.setattr("search.study.trial_end.holdout_picture", lambda *_: {}["no such colour"])
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1)
    end(study, callback)
    assert f"trial 1: its picture could not be drawn; {study.trial_files(1).log} says why" in shown(callback)
    assert (tracker.ended, callback.behind) == ("FINISHED", set())
    assert study.trial_files(1).verdict.exists()


def test_a_paused_trial_has_not_ended_and_one_that_is_promoted_goes_on(study, tracker):
    paused = {1}
    callback = made_callback(study, tracker, paused)
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1)
    end(study, callback)
    assert not study.trial_files(1).verdict.exists()
    assert (tracker.epochs, tracker.ended) == ([1], "SCHEDULED")
    assert callback.progress.trials[1].status == "paused"
    paused.clear()
    callback.on_trial_start(0, [], trial())
    assert callback.progress.trials[1].status == "running"
    epoch(study, callback, 2)
    end(study, callback)
    assert study.trial_files(1).read_verdict()["status"] == "completed"
    assert (tracker.epochs, tracker.ended) == ([1, 2], "FINISHED")


def test_who_is_still_paused_at_the_end_was_stopped_there(study, tracker):
    callback = made_callback(study, tracker, paused={1})
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1)
    end(study, callback)
    callback.end_paused({1})
    callback.finish()
    assert study.trial_files(1).read_verdict() == {"status": "stopped", "epochs": 1, "failure": None}
    assert tracker.ended == "FINISHED"


def test_a_store_that_is_away_for_a_while_misses_nothing(study, callback, tracker):
    tracker.away = True
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1)
    assert callback.behind == {1}
    assert "trial 1: MLflow lacks a part of it, made up for later (MLflow is away)" in shown(callback)
    tracker.away = False
    epoch(study, callback, 2)
    assert (tracker.params, tracker.epochs, callback.behind) == (PARAMS, [1, 2], set())


def test_a_store_that_is_away_at_the_end_leaves_the_trial_behind_and_its_verdict_written(study, callback, tracker):
    callback.on_trial_start(0, [], trial())
    for number in (1, 2):
        epoch(study, callback, number)
    tracker.away = True
    end(study, callback)
    assert callback.behind == {1}
    assert read_json(study.trial_files(1).verdict)["status"] == "completed"
    assert callback.progress.ended == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(28, "No space left on device"), "No space left on device"), (UserError("the data changed"), "changed")],
)
def test_an_outcome_that_cannot_be_written_leaves_the_trial_to_be_resumed(
    study, callback, tracker, monkeypatch, error, words
):
    def refused(*_):
        raise error

    monkeypatch.setattr("search.tuning.outcome_recorder.keep_outcome", refused)
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1)
    callback.on_trial_complete(0, [], trial(epoch=1))
    callback.finish()
    assert words in shown(callback)
    assert not study.trial_files(1).verdict.exists()
    assert tracker.ended is None


def test_a_line_that_the_driver_cannot_see_yet_is_logged_from_the_result(study, callback, tracker):
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1, in_ledger=False)
    assert tracker.epochs == [1]


def test_a_trial_that_fails_for_the_machines_sake_is_kept_for_a_resumed_study(study, callback, tracker, tmp_path):
    files = study.trial_files(1)
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1)
    files.state.write_bytes(b"what epoch 2 goes on from")
    (tmp_path / "error.txt").write_text("Traceback\n  …\nOSError: No space left on device\n")
    callback.on_trial_error(0, [], trial(str(tmp_path / "error.txt")))
    callback.finish()
    assert callback.broken == {1: "OSError: No space left on device"}
    assert "failed after 1 epoch, " in shown(callback)
    assert "No space left on device" in shown(callback)
    assert tracker.ended == "FAILED"
    assert not files.verdict.exists()
    assert files.state.exists()


def test_figures_of_the_study_that_mlflow_missed_are_made_up_for_once(study, callback, tracker):
    callback.on_trial_start(0, [], trial())
    for number in (1, 2):
        epoch(study, callback, number)
    tracker.away = True
    end(study, callback)
    callback.make_up_for_study()
    assert "MLflow lacks the study's figures after its last trial (MLflow is away)" in shown(callback)
    tracker.away = False
    for _ in range(2):
        callback.make_up_for_study()
    assert [metrics["trials_done"] for metrics in tracker.study] == [1]
    assert tracker.study[0]["best_miou"] == pytest.approx(0.2)


def test_the_vote_so_far_knows_of_trials_that_ended_while_mlflow_was_away(study, callback, tracker, monkeypatch):
    told = []
    monkeypatch.setattr(LiveVote, "metrics_after", lambda _, *numbers: told.append(numbers) or {})
    for number in (1, 2, 3):
        tracker.away = number == 2
        callback.on_trial_start(0, [], trial(number=number))
        callback.on_trial_complete(0, [], trial(number=number, epoch=0, failure="NonFiniteError: the loss became nan"))
        callback.finish()
    assert told == [(1,), (2, 3)]


def test_a_long_wait_for_mlflow_is_said(study, monkeypatch):
    monkeypatch.setattr("search.tuning.callback.WAIT_IS_SAID_S", 0.01)
    tracker = SlowTracker()
    callback = made_callback(study, tracker)
    callback.on_trial_start(0, [], trial())
    threading.Timer(0.5, tracker.gate.set).start()
    callback.finish()
    assert "MLflow has all that" in shown(callback)


def test_a_trial_whose_process_died_is_said_to_be_trained_again_after_its_last_epoch(study, callback, tmp_path):
    (tmp_path / "error.txt").write_text("Failure # 1 (…)\nThe actor is dead because its worker process has died.\n")
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1)
    callback.on_trial_recover(0, [], trial(str(tmp_path / "error.txt")))
    assert f"trial 1: {DIED}; it is trained again after epoch 1" in shown(callback)
    callback.on_trial_recover(0, [], trial(str(tmp_path / "error.txt"), number=2))  # Tune never called it started
    assert f"trial 2: {DIED}; it is trained again from its start" in shown(callback)
    assert callback.progress.trials[2].status == "running"


def test_nothing_more_is_suggested_where_no_trial_comes_to_train(study, callback):
    callback.on_trial_error(0, [], trial(number=2))
    callback.on_trial_error(0, [], trial(number=3))
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1)  # one that trains: the two before it were no sign
    for number in (4, 5, 1):  # nor is one that broke later
        callback.on_trial_error(0, [], trial(number=number))
    callback.on_trial_complete(0, [], trial(epoch=0, failure="NonFiniteError: the loss became nan"))
    for number in (6, 7):
        callback.on_trial_error(0, [], trial(number=number))
    assert "no more" not in shown(callback)
    callback.on_trial_error(0, [], trial(number=8))
    assert "no more\n3 trials in a row failed before their first epoch: no other is suggested" in shown(callback)
    assert sorted(callback.broken) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_configuration_that_fails_has_ended(study, callback):
    callback.on_trial_start(0, [], trial())
    study.trial_files(1).state.write_bytes(b"")
    callback.on_trial_complete(0, [], trial(epoch=0, failure="NonFiniteError: the loss became nan"))
    callback.finish()
    assert read_json(study.trial_files(1).verdict)["status"] == "failed"
    assert not study.trial_files(1).state.exists()
    assert callback.broken == {}


def test_what_the_vote_so_far_raises_is_said_to_be_the_votes(study, callback, tracker, monkeypatch):
    def broken(self, *numbers):
        raise ValueError("holdout.target is damaged")

    monkeypatch.setattr(LiveVote, "metrics_after", broken)
    callback.on_trial_start(0, [], trial())
    for number in (1, 2):
        epoch(study, callback, number)
    end(study, callback)
    assert "the vote of the trials so far could not be scored (holdout.target is damaged)" in shown(callback)
    assert "MLflow" not in shown(callback)
    assert (tracker.ended, callback.behind) == ("FINISHED", set())
    assert tracker.study[-1]["trials_done"] == 1


def test_a_refusal_of_mlflow_is_no_outage(study, callback, tracker, monkeypatch):
    """Other trials are told at once, rather than after a pause."""
    monkeypatch.setattr("search.tracking.background_tracker.PAUSE_S", 3600)
    callback.on_trial_start(0, [], trial())
    refused = tracker.log_epochs

    callback.finish()

    def refuse(number, records):
        raise MlflowException("the run is deleted", error_code=RESOURCE_DOES_NOT_EXIST)

    tracker.log_epochs = refuse
    epoch(study, callback, 1)
    assert "trial 1: MLflow was not told a part of it (the run is deleted)" in shown(callback)
    tracker.log_epochs = refused
    epoch(study, callback, 2)
    assert (tracker.epochs, callback.behind) == ([1, 2], set())


def test_a_damaged_ledger_is_said_and_ends_nothing_else(study, callback, tracker):
    files = study.trial_files(1)
    callback.on_trial_start(0, [], trial())
    epoch(study, callback, 1)
    write_text(files.epochs, '{"epo\n{"epoch": 2}\n')
    epoch(study, callback, 3, in_ledger=False)
    end(study, callback)
    assert "epochs.jsonl is damaged" in shown(callback)
    assert not files.verdict.exists()


def test_a_slow_store_keeps_no_trial_waiting(study, monkeypatch):
    """Tune goes on once these calls have returned: here, all of them before MLflow has answered a single question."""
    monkeypatch.setattr("search.tuning.callback.LEDGER_WAIT_S", 0)
    tracker = SlowTracker()
    callback = made_callback(study, tracker)
    callback.on_trial_start(0, [], trial())
    while not tracker.asked:  # until the first question is asked, which stays without an answer
        time.sleep(0.01)
    for number in (1, 2):
        epoch(study, callback, number, wait=False)
    end(study, callback, wait=False)
    callback.on_trial_start(0, [], trial(number=2))
    assert tracker.epochs == []
    while not study.trial_files(1).verdict.exists():  # nor has the ledger waited for it
        time.sleep(0.01)
    assert (tracker.ended, callback.behind) == (None, {1, 2})
    tracker.gate.set()
    assert callback.finish()
    assert (tracker.epochs, tracker.ended, callback.behind) == ([1, 2], "FINISHED", set())
    assert {asked.partition(" ")[0] for asked in tracker.asked} == {"mlflow"}  # one thread alone, as it must be
    assert "mlflow told 1" not in tracker.asked  # both epochs were told at once
    assert tracker.study[-1]["trials_done"] == 1


def test_what_is_not_told_in_time_is_left_to_a_resumed_study(study, monkeypatch):
    monkeypatch.setattr("search.tuning.callback.LEDGER_WAIT_S", 0)
    tracker = SlowTracker()
    callback = made_callback(study, tracker)
    callback.on_trial_start(0, [], trial())
    while not tracker.asked:
        time.sleep(0.01)
    epoch(study, callback, 1, wait=False)
    assert not callback.finish(0.01)
    tracker.gate.set()
    assert not callback.finish(0.2)
    assert tracker.asked[1:] in ([], ["mlflow told 0"])  # the call in progress came to its end, and none came after it


def test_the_hours_of_a_study_are_counted_without_reading_its_ledgers_again(study, callback, tracker, monkeypatch):
    callback.count_seconds(7, [{"epoch_s": 3600.0}, {"epoch_s": 1800.0}])  # by an earlier command
    monkeypatch.setattr(type(study), "trials", lambda self: [])  # which lists all
    callback.on_trial_start(0, [], trial())
    for number in (1, 2):
        epoch(study, callback, number)
    end(study, callback)
    assert tracker.study[-1]["trial_hours"] == pytest.approx(1.5 + 4.0 / 3600)
