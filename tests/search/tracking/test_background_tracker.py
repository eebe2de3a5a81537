"""A real store that answers slowly, and what is in it at the end."""

import threading

from search.tracking.background_tracker import BackgroundTracker
from search.tracking.store import connect, create_store, default_tracking_uri
from search.tracking.tracker import Tracker
from tests import tiny

EPOCHS = 30


class SlowClient:
    """MLflow's client, which answers once `gate` is open; `calls` names what it was asked."""

    def __init__(self, client):
        self._client, self.gate, self.calls = client, threading.Event(), []
        self.gate.set()

    def __getattr__(self, name):
        def slow(*arguments, **how):
            self.calls.append(name)
            self.gate.wait()
            return getattr(self._client, name)(*arguments, **how)

        return slow


def test_a_store_that_is_slower_than_the_trials_has_all_in_a_few_calls(tmp_path):
    create_store(tmp_path)
    client, experiment_id = connect(default_tracking_uri(tmp_path), tmp_path)
    slow, warnings = SlowClient(client), []
    tracker = Tracker(slow, experiment_id, "slow", "id-of-slow")
    told = BackgroundTracker(tracker, warnings.append)
    slow.gate.clear()
    slow.calls.clear()
    records = [
        {"epoch": epoch, "train/loss": 1 / epoch, "time": 1000.0 + epoch, **{f"iou/{n}": 0.5 for n in range(99)}}
        for epoch in range(1, EPOCHS + 1)
    ]
    told.begin(1, tiny.params(), [])
    for epoch in range(1, EPOCHS + 1):
        told.epochs(1, records[:epoch])
    told.end(1, lambda: tracker.end_trial(1, "FINISHED", {"a": "b"}, {}), lambda: {"trials_done": 1})
    assert len(slow.calls) <= 1
    slow.gate.set()
    assert told.finish()
    run = client.get_run(tracker.trial_run_id(1))
    assert (run.info.status, run.data.tags["a"], warnings, told.behind) == ("FINISHED", "b", [], set())
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(metric.step, metric.value, metric.timestamp) for metric in history] == [
        (record["epoch"], record["train/loss"], 1000 * record["time"]) for record in records
    ]
    assert slow.calls.count("log_batch") == 1 + EPOCHS // 10 + 1 + 1  # parameters; 10 epochs a call; tags; the study
