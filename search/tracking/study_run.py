"""The run of a study in MLflow: found by the study's id, and brought to its end with the runs of its trials."""

from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ensembling.runs.tags import DUPLICATE, KIND, STUDY_ID
from search.study.driver import driver_alive
from trainables.trial.study_files import MANIFEST, study_id

MAX_RUNS = 50000  # what MLflow returns at most
OPEN = ("RUNNING", "SCHEDULED")


def find_study_run(client: MlflowClient, experiment_id: str, study_id: str) -> Run | None:
    """Return the run of the study or refit with this id, or None where MLflow has none; duplicates are passed over.

    Raises MlflowException where the store does not answer.
    """
    where = f"tags.`{STUDY_ID}` = '{study_id}' and tags.`{KIND}` != '{DUPLICATE}'"
    return next(iter(client.search_runs([experiment_id], where, max_results=1)), None)


def end_study_run(client: MlflowClient, experiment_id: str, run_id: str, status: str) -> None:
    """End the study's run with `status`, and as KILLED the run of every trial that is still open."""
    where = f"tags.`{KIND}` = 'trial' and tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'"
    for run in client.search_runs([experiment_id], where, max_results=MAX_RUNS):
        if run.info.status in OPEN:
            client.set_terminated(run.info.run_id, "KILLED")
    client.set_terminated(run_id, status)


def end_killed_studies(client: MlflowClient, experiment_id: str, runs_dir: Path) -> None:
    """End as KILLED the runs of the studies whose process was killed on this machine, which could not do that itself.

    A resumed study goes on with them. A study of which a copy is run, or may be, is left alone.
    """
    alive: dict[str | None, list[bool | None]] = {}
    for manifest in runs_dir.glob(f"*/{MANIFEST}"):
        alive.setdefault(study_id(manifest.parent), []).append(driver_alive(manifest.parent))
    for identity in (identity for identity, places in alive.items() if identity and {*places} == {False}):
        run = find_study_run(client, experiment_id, identity)
        if run and run.info.status == "RUNNING":
            end_study_run(client, experiment_id, run.info.run_id, "KILLED")
