"""What is logged to MLflow, where its rules are narrower than ours."""

from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_metric_name

from search.tracking.store import _create_experiment
from search.tracking.tracker import Tracker, _with_defaults, metric_name
from tests import tiny

SENTENCE = "a bottle, jar or other hollow container of clear, green or brown glass, whole or broken, " * 3
LONG = [SENTENCE, f"{SENTENCE}, second", "ขวดพลาสติกใสที่มีฉลากและฝาปิดอยู่ " * 10, "🍾🥤🧃🥛🍶" * 9, "🍾🥤🧃🥛🍶" * 9 + "🍾"]
NAMES = [
    *LONG,
    "종이",
    "금속",
    "유리",
    "PET (clear)",
    "PET [clear]",
    "a/b",
    "a//b",
    "a/",
    "a/./b",
    "a/../b",
    "Papier, Karton",
]


def test_every_class_has_a_metric_of_its_own_that_mlflow_takes():
    names = [metric_name(f"holdout/iou/{name}") for name in NAMES]
    assert len(set(names)) == len(NAMES)
    for name in names:
        _validate_metric_name(name)
    assert metric_name("holdout/iou/Plastic bag") == "holdout/iou/Plastic bag"
    assert names[len(LONG)] == "holdout/iou/종이"
    assert max(map(len, names)) == 250


def test_an_experiment_that_another_command_has_just_made_is_taken():
    def refuse(*_, **__):
        raise MlflowException("Experiment(name=segvote) already exists")

    found = SimpleNamespace(experiment_id="3")
    client = SimpleNamespace(create_experiment=refuse, get_experiment_by_name=lambda name: found)
    assert _create_experiment(client, None) == "3"
    client.get_experiment_by_name = lambda name: None
    with pytest.raises(MlflowException, match="already exists"):
        _create_experiment(client, None)


def test_where_pretrained_weights_lay_is_no_parameter_since_a_resumed_study_may_say_otherwise():
    logged = _with_defaults(tiny.params(weights_dir="/mnt/weights"))
    assert "weights_dir" not in logged
    assert logged["schedule"] == "poly"  # a default


def test_metrics_have_the_time_of_their_epoch_however_late_they_are_logged():
    logged = []
    client = SimpleNamespace(
        search_runs=lambda *_, **__: [],
        get_metric_history=lambda *_: [],
        update_run=lambda *_, **__: None,
        create_run=lambda *_, **__: SimpleNamespace(info=SimpleNamespace(run_id="r")),
        log_batch=lambda run_id, metrics=(), params=(): logged.extend(metrics),
    )
    tracker = Tracker(client, "1", "study", "id")
    tracker.start_trial(1, {})
    tracker.log_epochs(1, [{"epoch": 1, "train/loss": 0.5, "time": 1000.25}])
    assert [(metric.key, metric.step, metric.timestamp) for metric in logged] == [("train/loss", 1, 1000250)]
