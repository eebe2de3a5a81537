"""A search whose tracking server does not answer for as long as trials train: Ray, MLflow and the ledger are real."""

import io
import threading
import time

import pytest
import ray
from mlflow.tracking import MlflowClient
from rich.console import Console

from search.search_steps import claimed, running_screen, tracked
from search.tuning import tuner as tuning
from search.tuning.cluster.start_ray import start_ray
from tests.instant_study import instant_plan
from tests.instant_trial import InstantTrial
from trainables.errors import UserError

TRIALS = 5
PATIENCE_S = 350


class HeldClient:
    """MLflow's client, whose answers come once `gate` is open; `held` counts the calls that waited for that."""

    def __init__(self, client):
        self._client, self.gate, self.held = client, threading.Event(), 0

    def __getattr__(self, name):
        def call(*arguments, **how):
            self.held += not self.gate.is_set()
            self.gate.wait()
            return getattr(self._client, name)(*arguments, **how)

        return call


@pytest.fixture
def plan(tmp_path, line):
    """The study of five trials, two side by side, in a runs directory that has its store already."""
    yield instant_plan(line.directory, TRIALS)
    ray.shutdown()


def test_trials_begin_train_and_end_while_the_tracker_does_not_answer(plan, line, monkeypatch):
    monkeypatch.setattr(tuning, "SegmentationTrainable", InstantTrial)
    ended_before_an_answer, shown = [], io.StringIO()

    def open_the_gate(client):
        deadline = time.monotonic() + PATIENCE_S
        while len(ended_before_an_answer) < TRIALS and time.monotonic() < deadline:
            ended_before_an_answer[:] = [files.number for files in plan.study.trials() if files.verdict.exists()]
            time.sleep(0.1)
        client.gate.set()

    start_ray(None, trials=1)
    with claimed(plan), tracked(plan) as tracker, running_screen(plan, Console(file=shown)) as screen:
        held = tracker.client = HeldClient(tracker.client)
        threading.Thread(target=open_the_gate, args=(held,), daemon=True).start()
        tuner = tuning.StudyTuner(plan, tracker, screen)
        tuner.fit()
        assert not tuner.interrupted
    assert ended_before_an_answer == list(range(1, TRIALS + 1)), f"{tuner.broken}\n{shown.getvalue()}"
    assert held.held == 1, "one thread waits for the tracker, and nobody else asks it"

    client, experiment = line.client()
    runs = [run for run in client.search_runs([experiment]) if run.data.tags["segvote.kind"] == "trial"]
    assert sorted(int(run.data.tags["segvote.trial"]) for run in runs) == ended_before_an_answer
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "holdout/miou")
        records = plan.study.trial_files(int(run.data.tags["segvote.trial"])).records()
        assert [(one.step, one.value) for one in history] == [(one["epoch"], one["holdout/miou"]) for one in records]


def test_a_search_that_is_stopped_while_the_tracker_is_away_ends_as_stopped(plan, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = MlflowClient("http://127.0.0.1:9")

    def end(status, stop=None):
        with tracked(plan) as tracker:
            tracker.client, tracker.final_status = away, status
            if stop:
                raise stop

    with claimed(plan):
        with pytest.raises(UserError, match="does not answer any more"):
            end("FINISHED")
        with pytest.raises(KeyboardInterrupt):
            end("FINISHED", KeyboardInterrupt())
        end("KILLED")
