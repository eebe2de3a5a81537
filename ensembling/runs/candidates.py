"""Candidates: the runs that may vote, read from MLflow with their holdout predictions, across studies."""

import errno
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ensembling.memory_budget import Budget
from ensembling.predictions import Predictions, PredictionsError, check_same_holdout, read_predictions
from ensembling.runs.eligible import eligible
from ensembling.runs.tags import CANDIDATE, KIND, STATUS, STUDY, TRIAL
from trainables.study_data import OBJECTIVE
from trainables.trial.study_files import TARGET

MAX_RUNS = 50000  # what MLflow returns at most


@dataclass(frozen=True, eq=False)
class Candidate:
    """One run that may vote, with its class maps of the holdout.

    `trial` is the number of the trial in its study, and `ended` is the time of its end in milliseconds since 1970.
    """

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
        """Return the same, with its class maps in a file where they do not fit into memory."""
        return replace(self, predictions=replace(self.predictions, pixels=budget.keep(self.predictions.pixels)))


class Loaded(NamedTuple):
    """The candidates, and one sentence about each run that would be a candidate if MLflow still had its predictions."""

    candidates: list[Candidate]
    left_out: list[str]


class NoArtifactError(LookupError):
    """The error for an artifact that MLflow does not have: it was deleted, or it was never logged."""


def load_candidates(
    client: MlflowClient,
    experiment_id: str,
    parent_ids: Sequence[str],
    target: Predictions,
    *,
    where: str = "",
    include_stopped: bool = False,
    budget: Budget | None = None,
) -> Loaded:
    """Return the trials of the parent runs that may vote (see eligible.py), ordered by study and trial number.

    Among candidates of the same score this order decides which ranks better, as in the tables of trials. Ids of runs
    are random: by them, a search that is repeated could choose other members. Only a run whose predictions are missing
    from MLflow is left out.

    Args:
        client: The client of the MLflow store.
        experiment_id: The experiment that holds the studies.
        parent_ids: The runs of the studies whose trials are wanted.
        target: The masks of the holdout, which every candidate must have predicted.
        where: A further filter, in MLflow's query language.
        include_stopped: Whether all trials that were stopped early are candidates too.
        budget: The memory for class maps; those beyond it are kept in temporary files.

    Raises:
        PredictionsError: Predictions are damaged, cannot be fetched, or belong to another holdout than the target's.
        OSError: The disk for temporary files is full.
        MlflowException: MLflow does not understand the filter.
    """
    runs = [run for parent in parent_ids for run in _find_trials(client, experiment_id, parent, where)]
    chosen = runs if include_stopped else _eligible(runs)
    budget = budget or Budget()
    pseudo = {parent for parent in parent_ids if "pseudo" in client.get_run(parent).data.params}
    loaded = Loaded([], [])
    for run in sorted(chosen, key=_place):
        try:
            loaded.candidates.append(_load(client, run, target, pseudo).kept_in(budget))
        except NoArtifactError as error:
            loaded.left_out.append(f"{run.info.run_name} does not vote: {error}")
    return loaded


def _place(run: Run) -> tuple[str, int, str]:
    tags = run.data.tags
    return tags.get(STUDY, ""), int(tags.get(TRIAL, 0)), run.info.run_id


def load_target(client: MlflowClient, parent: Run) -> Predictions:
    """Return the masks of the study's holdout, in the format of predictions.

    Raises PredictionsError where MLflow has none, or they are damaged.
    """
    try:
        return _download(client, parent.info.run_id, TARGET)
    except NoArtifactError as error:
        raise PredictionsError(
            f"study {parent.info.run_name}: {error}: restore {parent.info.artifact_uri}/{TARGET}"
        ) from error
    except PredictionsError as error:
        raise PredictionsError(f"study {parent.info.run_name}: {error}") from error


def load_predictions(client: MlflowClient, run_id: str) -> Predictions:
    """Return a trial's class maps of the holdout. Raises as `load_target` does."""
    return _download(client, run_id, "predictions")


def _find_trials(client: MlflowClient, experiment_id: str, parent_id: str, where: str) -> list[Run]:
    ours = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_id}' and tags.`{KIND}` = 'trial'"
    found = client.search_runs([experiment_id], f"{ours} and {where}" if where else ours, max_results=MAX_RUNS)
    return _once([run for run in found if _has_predictions(run)])


def _eligible(runs: Sequence[Run]) -> list[Run]:
    scores = [run.data.metrics.get(OBJECTIVE, np.nan) for run in runs]
    may_vote = eligible(scores, [run.data.tags.get(CANDIDATE) == "true" for run in runs])
    return [run for run, may in zip(runs, may_vote) if may]


def _once(runs: list[Run]) -> list[Run]:
    """Return one run for each trial, the one that ended last: MLflow may have made several of one."""
    latest: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: (run.info.end_time, run.info.run_id)):
        latest[run.data.tags.get(TRIAL, run.info.run_id)] = run
    return list(latest.values())


def _has_predictions(run: Run) -> bool:
    # A trial that was killed and goes on is running: its predictions are about to be replaced.
    ended = bool(run.info.end_time) and run.info.status != "RUNNING"
    return ended and run.data.tags.get(STATUS) in ("completed", "stopped", "killed")


def _load(client: MlflowClient, run: Run, target: Predictions, pseudo: set[str]) -> Candidate:
    """Return the candidate of a run; `pseudo` holds the ids of the parents that also trained on pseudo-labels."""
    info, tags = run.info, run.data.tags
    try:
        predictions = _download(client, info.run_id, "predictions")
    except PredictionsError as error:
        raise PredictionsError(f"run {info.run_name} ({info.run_id}): {error}") from error
    check_same_holdout(target, predictions, first_name="the holdout", second_name=f"run {info.run_name}")
    study, trial = tags.get(STUDY, ""), int(tags.get(TRIAL, 0))
    own = (study, trial, run.data.params, info.end_time, predictions, tags[MLFLOW_PARENT_RUN_ID] in pseudo)
    return Candidate(info.run_id, info.run_name, *own)


def _download(client: MlflowClient, run_id: str, artifact: str) -> Predictions:
    """Return what a file holds, or the one file in a directory.

    Raises NoArtifactError where MLflow has none, and PredictionsError where it has one that cannot be fetched or read.
    """
    with tempfile.TemporaryDirectory() as directory:
        try:
            known = {found.path for found in client.list_artifacts(run_id)}
            if artifact not in known:
                raise NoArtifactError(f"run {run_id} has no artifact {artifact} in MLflow")
            path = Path(client.download_artifacts(run_id, artifact, directory))
            files = sorted(path.iterdir()) if path.is_dir() else [path]
        except (MlflowException, OSError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                reason = f"{error.strerror}: set TMPDIR to a directory on a disk with more free space"
                raise OSError(error.errno, reason, directory) from error
            raise PredictionsError(f"its artifact {artifact} cannot be fetched ({error}): try again") from error
        if not files:
            raise NoArtifactError(f"run {run_id} has no file in its artifact {artifact} in MLflow")
        return read_predictions(files[0], called=f"its artifact {files[0].relative_to(directory)}")
