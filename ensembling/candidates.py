"""Candidates: the runs that may vote, read from MLflow with their holdout predictions."""

from dataclasses import dataclass
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ensembling.predictions import Predictions, check_same_holdout, read_predictions


@dataclass(frozen=True, eq=False)
class Candidate:
    """A run and its class maps of the holdout."""

    run_id: str
    name: str
    params: dict[str, str]
    predictions: Predictions


def load_candidates(
    client: MlflowClient, experiment_id: str, parent_id: str, target: Predictions, *, include_stopped: bool = False
) -> list[Candidate]:
    """The parent's trials that reached the last rung or finished, in order of run id, which decides ties of rank.

    Where none did, or with `include_stopped`, all that have predictions. Raises PredictionsError for predictions of
    another holdout than the target's.
    """
    where = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_id}' and tags.`segvote.kind` = 'trial'"
    runs = [run for run in client.search_runs([experiment_id], where, max_results=50000) if _has_predictions(run)]
    far = [run for run in runs if run.data.tags.get("segvote.candidate") == "true"]
    chosen = runs if include_stopped or not far else far
    candidates = []
    for run in sorted(chosen, key=lambda run: run.info.run_id):
        predictions = read_predictions(_download(client, run.info.run_id))
        check_same_holdout(
            target, predictions, first_name="the study's holdout", second_name=f"run {run.info.run_name}"
        )
        candidates.append(Candidate(run.info.run_id, run.info.run_name, run.data.params, predictions))
    return candidates


def _has_predictions(run) -> bool:
    return run.data.tags.get("segvote.status") in ("completed", "stopped", "killed")


def _download(client: MlflowClient, run_id: str) -> Path:
    try:
        directory = Path(client.download_artifacts(run_id, "predictions"))
        return next(directory.iterdir())
    except (MlflowException, OSError, StopIteration) as error:
        raise FileNotFoundError(f"run {run_id} has no predictions artifact in MLflow ({error})") from error
