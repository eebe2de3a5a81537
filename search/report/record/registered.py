"""What MLflow alone knows of a study: the ids of its runs, and its own curves over time."""

from dataclasses import dataclass, field

from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ensembling.runs.tags import KIND, TRIAL
from search.tracking.study_run import find_study_run

CURVES = ("vote_miou", "best_miou")
MAX_RUNS = 50000  # what MLflow returns at most


@dataclass(frozen=True)
class Registered:
    """`runs` are the ids of the trials' runs by trial number. `curves` hold (seconds since 1970, value), in order.

    `gpus_per_trial` is None where MLflow knows of no trial that ended.
    """

    parent_id: str | None = None
    experiment_id: str | None = None
    runs: dict[int, str] = field(default_factory=dict)
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    gpus_per_trial: float | None = None


def read_registered(client: MlflowClient, experiment_id: str, study_id: str) -> Registered:
    """Return what MLflow has of the study; an empty one where it has none of it. Raises MlflowException."""
    parent = find_study_run(client, experiment_id, study_id)
    if parent is None:
        return Registered()
    where = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent.info.run_id}' and tags.`{KIND}` = 'trial'"
    trials = client.search_runs([experiment_id], where, max_results=MAX_RUNS)
    return Registered(
        parent_id=parent.info.run_id,
        experiment_id=experiment_id,
        runs={int(run.data.tags[TRIAL]): run.info.run_id for run in trials},
        curves={key: _curve(client, parent.info.run_id, key) for key in CURVES},
        gpus_per_trial=_gpus(parent.data.metrics),
    )


def _curve(client: MlflowClient, run_id: str, key: str) -> list[tuple[float, float]]:
    history = sorted(client.get_metric_history(run_id, key), key=lambda one: (one.step, one.timestamp))
    return [(one.timestamp / 1000, one.value) for one in history]


def _gpus(metrics: dict[str, float]) -> float | None:
    hours = metrics.get("trial_hours")
    return metrics.get("gpu_hours", 0.0) / hours if hours else None
