"""Registered models: exported ensembles, each of which is downloaded from MLflow once and kept."""

import hashlib
import os
import tempfile
from pathlib import Path

import mlflow.artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import FLAVOR_NAME
from mlflow.tracking import MlflowClient

from trainables.errors import UserError

REGISTERED = "models:/"
ARTIFACT = "ensemble"  # the exported ensemble's name in MLflow's model
DOWNLOADED = "downloaded"  # directory of the runs directory


def download_registered(reference: str, runs_dir: Path, client: MlflowClient) -> Path:
    """Return the directory of the exported ensemble that models:/name/version or models:/name@alias means.

    The ensemble is downloaded below `runs_dir`, whole or not at all, and only if it is not there yet. Raises UserError
    where there is no such model, or where the model is no ensemble.
    """
    try:
        version = _find_version(reference, client)
        # Another store may have a model of the same name and number; the source is that of this one alone.
        source = hashlib.sha256(version.source.encode()).hexdigest()[:8]
        directory = Path(runs_dir) / DOWNLOADED / f"{version.name}-{version.version}-{source}"
        if not directory.exists():
            _download(version, directory, client)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"--ensemble {reference} cannot be fetched from MLflow ({str(error).splitlines()[0]}): name a model that "
            "segvote export registered there"
        ) from error
    return directory


def _find_version(reference: str, client: MlflowClient) -> ModelVersion:
    name, slash, version = reference.removeprefix(REGISTERED).partition("/")
    if slash and version.isdecimal():
        return client.get_model_version(name, version)
    name, at, alias = name.partition("@")
    if at and alias and not slash:
        return client.get_model_version_by_alias(name, alias)
    raise UserError(
        f"--ensemble {reference}: write models:/NAME/VERSION, where VERSION is a number, or models:/NAME@ALIAS"
    )


def _download(version: ModelVersion, directory: Path, client: MlflowClient) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".") as temporary:
        uri = client.get_model_version_download_uri(version.name, version.version)
        model = Path(mlflow.artifacts.download_artifacts(uri, dst_path=temporary, tracking_uri=client.tracking_uri))
        try:
            inside = Model.load(model).flavors[FLAVOR_NAME]["artifacts"][ARTIFACT]["path"]
        except (KeyError, TypeError) as error:
            raise UserError(
                f"the model {version.name} {version.version} is no ensemble: name one that segvote export registered"
            ) from error
        if not (model / inside).resolve().is_relative_to(model.resolve()):
            raise UserError(f"the model {version.name} {version.version} names files outside of itself ({inside})")
        try:
            os.rename(model / inside, directory)
        except OSError:
            if not directory.exists():  # otherwise another command has just put the same there
                raise
