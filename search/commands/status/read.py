"""Where the status of a study is read: its files where they are here, else MLflow."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mlflow.exceptions import MlflowException

from search.commands.status.from_ledger import status_from_ledger
from search.commands.status.from_mlflow import status_from_mlflow, vote_and_gpus
from search.commands.status.status import StudyStatus
from search.study.study import MANIFEST, study_in
from search.tracking.store import explain_failure, open_store
from trainables.errors import UserError


def reader(name: str, runs_dir: Path, cache_dir: Path, tracking_uri: str | None) -> Callable[[], StudyStatus]:
    """Return a function that reads the study's status anew at each call.

    The function raises UserError where neither the files nor MLflow's store knows the study.

    Args:
        name: The name of the study.
        runs_dir: The directory of the studies' files.
        cache_dir: The directory of the decoded photos.
        tracking_uri: The address of MLflow's store; None for the one in the runs directory.
    """
    if (runs_dir / name / MANIFEST).exists():
        study = study_in(runs_dir / name, cache_dir)

        def from_files() -> StudyStatus:
            vote, gpus = None, ()
            with suppress(UserError, MlflowException):  # the files say all else
                vote, gpus = vote_and_gpus(*open_store(tracking_uri, runs_dir), study.id)
            return status_from_ledger(study, vote, gpus)

        return from_files

    def from_mlflow() -> StudyStatus:
        try:
            return status_from_mlflow(*open_store(tracking_uri, runs_dir), name)
        except MlflowException as error:
            raise explain_failure(error, tracking_uri or str(runs_dir)) from error

    return from_mlflow
