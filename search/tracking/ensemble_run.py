"""The run of an ensemble in MLflow."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ensembling.runs.ensemble import read_ensemble
from ensembling.runs.members import Ensemble
from ensembling.runs.registered import REGISTERED
from ensembling.runs.tags import KIND
from trainables.errors import UserError
from trainables.trial.study_files import ENSEMBLE_FILE

LOOKED_AT = 50  # runs of ensembles that are compared, the newest first


def find_run(ensemble: Ensemble, reference: str, connect: Callable[[], tuple[MlflowClient, str]]) -> str | None:
    """Return the id of the run of the ensemble that `reference` means; None where there is none.

    `connect` returns a client and the id of the experiment. An ensemble that was read from a file is looked for among
    the newest runs, by comparing their ensemble.json with it.
    """
    if not Path(reference).expanduser().exists():  # the reference is the id of a run, or a registered model
        return None if reference.startswith(REGISTERED) else reference
    client, experiment_id = connect()
    kinds = f"tags.`{KIND}` = 'ensemble'"
    runs = client.search_runs([experiment_id], kinds, max_results=LOOKED_AT, order_by=["attributes.start_time DESC"])
    with tempfile.TemporaryDirectory() as directory:
        for run in runs:
            try:
                file = client.download_artifacts(run.info.run_id, ENSEMBLE_FILE, directory)
                found = read_ensemble(Path(file))
            except (MlflowException, OSError, UserError):
                continue  # the run of a selection that was interrupted has no such file, and a later version another
            if found == ensemble.description:
                return run.info.run_id
    return None
