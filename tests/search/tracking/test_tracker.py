"""What MLflow is told, where its rules are narrower than ours."""

from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_metric_name

from search.tracking.tracker import _create_experiment, _with_defaults, metric_name
from tests import tiny

NAMES = ["종이", "금속", "유리", "PET (clear)", "PET [clear]", "a/b", "a//b", "a/", "a/./b", "a/../b", "Papier, Karton"]


def test_every_class_has_a_metric_of_its_own_that_mlflow_takes():
    names = [metric_name(f"holdout/iou/{name}") for name in NAMES]
    assert len(set(names)) == len(NAMES)
    for name in names:
        _validate_metric_name(name)
    assert metric_name("holdout/iou/Plastic bag") == "holdout/iou/Plastic bag"
    assert names[0] == "holdout/iou/종이"


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
