"""The run of a study in MLflow, found by the study's id."""

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from ensembling.runs.tags import DUPLICATE, KIND, STUDY_ID


def find_study_run(client: MlflowClient, experiment_id: str, study_id: str) -> Run | None:
    """Return the run of the study or refit with this id, or None where MLflow has none; duplicates are passed over.

    Raises MlflowException where the store does not answer.
    """
    where = f"tags.`{STUDY_ID}` = '{study_id}' and tags.`{KIND}` != '{DUPLICATE}'"
    return next(iter(client.search_runs([experiment_id], where, max_results=1)), None)
