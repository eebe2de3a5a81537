"""An exported ensemble in MLflow: logged as a model under a run, and registered by a name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from ensembling.export.bundle import model_parts
from ensembling.runs.registered import ARTIFACT
from ensembling.runs.tags import KIND
from trainables.errors import UserError


def check_model_name(name: str) -> None:
    """Raise UserError for a name that MLflow refuses."""
    if not name.strip() or set("/:") & set(name) or name in (".", ".."):
        raise UserError(f"--name {name!r} is no valid name for a registered model: give one without / and :")


def register(client: MlflowClient, experiment_id: str, run_id: str | None, name: str, directory: Path) -> str:
    """Log and register the exported ensemble, and return the version that MLflow gives it.

    Args:
        client: The client of the store.
        experiment_id: The experiment of the new run.
        run_id: The run under which the model is logged; None for a new one.
        name: The name of the registered model.
        directory: The exported ensemble, which is kept whatever happens.

    Raises:
        UserError: MLflow refuses it.
    """
    try:
        run = nullcontext(run_id) if run_id else _own_run(client, experiment_id, name)
        with _as_mlflows_own(client.tracking_uri), run as run_id:
            model_id = _log(client, run_id, directory)
            return _add_version(client, name, model_id, run_id)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"MLflow did not register the model {name} ({str(error).splitlines()[0]}); "
            f"the exported ensemble is complete in {directory}"
        ) from error


def _log(client: MlflowClient, run_id: str, directory: Path) -> str:
    """Return the id of the model, which is logged under the run.

    `pyfunc.log_model` is not used, because it would put the model in the active experiment and end the run, which may
    be old.
    """
    experiment_id = client.get_run(run_id).info.experiment_id
    model_id = client.create_logged_model(experiment_id, ARTIFACT, source_run_id=run_id).model_id
    with model_parts(directory) as parts:
        Model.log(None, mlflow.pyfunc, run_id=run_id, name=ARTIFACT, model_id=model_id, **parts)
    return model_id


def _add_version(client: MlflowClient, name: str, model_id: str, run_id: str) -> str:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(name, f"models:/{model_id}", run_id=run_id, model_id=model_id).version


@contextmanager
def _own_run(client: MlflowClient, experiment_id: str, name: str) -> Iterator[str]:
    run_name = f"{name}-export"
    run_id = client.create_run(experiment_id, tags={KIND: "export"}, run_name=run_name).info.run_id
    status = "FAILED"
    try:
        yield run_id
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)


@contextmanager
def _as_mlflows_own(uri: str) -> Iterator[None]:
    """Make `uri` MLflow's global store within the block, because models can be logged to that store only."""
    before = mlflow.get_tracking_uri()
    os.environ.setdefault(
        "MLFLOW_UV_AUTO_DETECT", "false"
    )  # a `uv` project in this directory does not belong to the model
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
