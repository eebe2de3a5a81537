"""Candidates: the runs that may vote, read from MLflow with their holdout predictions, across studies."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ensembling.memory import Budget
from ensembling.predictions import Predictions, PredictionsError, check_same_holdout, read_predictions

log = logging.getLogger(__name__)

MAX_RUNS = 50000  # what MLflow returns at most


@dataclass(frozen=True, eq=False)
class Candidate:
    """A run, trial number `trial` of its study, and its class maps of the holdout. `ended` is in ms since 1970."""

    run_id: str
    name: str
    study: str
    trial: int
    params: dict[str, str]
    ended: int
    predictions: Predictions
    pseudo: bool = False
    """Whether its study trained on pseudo-labels, too."""

    def kept_in(self, budget: Budget) -> "Candidate":
        """The same, with its class maps in a file where they do not fit into memory."""
        return replace(self, predictions=replace(self.predictions, pixels=budget.keep(self.predictions.pixels)))


def load_candidates(
    client: MlflowClient,
    experiment_id: str,
    parent_ids: Sequence[str],
    target: Predictions,
    *,
    where: str = "",
    include_stopped: bool = False,
    budget: Budget | None = None,
) -> list[Candidate]:
    """The parents' trials that reached the last rung or finished, in order of run id, which decides ties of rank.

    Where none did, or with `include_stopped`, all that have predictions. `where` is a filter in MLflow's own words.
    Class maps beyond `budget` are in temporary files. A run whose predictions are lost is left out, with a warning.
    Raises PredictionsError for predictions of another holdout than the target's, and MlflowException for a filter that
    MLflow does not understand.
    """
    runs = [run for parent in parent_ids for run in _find_trials(client, experiment_id, parent, where)]
    far = [run for run in runs if run.data.tags.get("segvote.candidate") == "true"]
    chosen = runs if include_stopped or not far else far
    budget = budget or Budget()
    pseudo = {parent for parent in parent_ids if "pseudo" in client.get_run(parent).data.params}
    loaded = (_load(client, run, target, pseudo) for run in sorted(chosen, key=lambda run: run.info.run_id))
    return [candidate.kept_in(budget) for candidate in loaded if candidate]


def load_target(client: MlflowClient, parent: Run) -> Predictions:
    """The masks of the study's holdout, in the format of predictions.

    Raises FileNotFoundError where MLflow has none, and PredictionsError where they are damaged.
    """
    try:
        return _download(client, parent.info.run_id, "holdout.target")
    except PredictionsError as error:
        raise PredictionsError(f"study {parent.info.run_name}: {error}") from error


def _find_trials(client: MlflowClient, experiment_id: str, parent_id: str, where: str) -> list[Run]:
    ours = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_id}' and tags.`segvote.kind` = 'trial'"
    found = client.search_runs([experiment_id], f"{ours} and {where}" if where else ours, max_results=MAX_RUNS)
    return [run for run in found if _has_predictions(run)]


def _has_predictions(run: Run) -> bool:
    # A trial that was killed and goes on is running: its predictions are about to be replaced.
    ended = bool(run.info.end_time) and run.info.status != "RUNNING"
    return ended and run.data.tags.get("segvote.status") in ("completed", "stopped", "killed")


def _load(client: MlflowClient, run: Run, target: Predictions, pseudo: set[str]) -> Candidate | None:
    """`pseudo` are the parents that trained on pseudo-labels, too."""
    info, tags = run.info, run.data.tags
    try:
        predictions = _download(client, info.run_id, "predictions")
    except FileNotFoundError as error:
        log.warning("%s does not vote: %s", info.run_name, error)
        return None
    except PredictionsError as error:
        raise PredictionsError(f"run {info.run_name} ({info.run_id}): {error}") from error
    check_same_holdout(target, predictions, first_name="the holdout", second_name=f"run {info.run_name}")
    study, trial = tags.get("segvote.study", ""), int(tags.get("segvote.trial", 0))
    own = (study, trial, run.data.params, info.end_time, predictions, tags[MLFLOW_PARENT_RUN_ID] in pseudo)
    return Candidate(info.run_id, info.run_name, *own)


def _download(client: MlflowClient, run_id: str, artifact: str) -> Predictions:
    """Of a file, or of the one file in a directory."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            path = Path(client.download_artifacts(run_id, artifact, directory))
            path = next(path.iterdir()) if path.is_dir() else path
            return read_predictions(path, called=f"its artifact {path.relative_to(directory)}")
        except (MlflowException, OSError, StopIteration) as error:
            raise FileNotFoundError(f"run {run_id} has no artifact {artifact} in MLflow ({error})") from error


def describe_candidate(candidate: Candidate, miou: float) -> dict[str, Any]:
    """Plain values for ensemble.json."""
    names = {"run_id": candidate.run_id, "name": candidate.name, "study": candidate.study, "trial": candidate.trial}
    return {**names, "miou": float(miou)}
