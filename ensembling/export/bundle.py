"""An exported ensemble: a directory with all that a model of MLflow needs in order to predict."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ensembling.runs.ensemble import EnsembleRecord, save_ensemble
from ensembling.runs.members import MEMBERS, PATH_KEYS, Ensemble, Member
from ensembling.runs.registered import ARTIFACT
from trainables.errors import UserError
from trainables.files import replacing, write_json
from trainables.inference.predictor import load_model
from trainables.trial.files import TrialFiles
from trainables.trial.study_files import ENSEMBLE_FILE

MODEL_CODE = Path(__file__).with_name("served_model.py")


def check_members(ensemble: Ensemble) -> None:
    """Load every member once. Raises UserError for weights that are damaged, or of another model or class count."""
    for member in ensemble.members:
        try:
            load_model(member.config, member.weights, len(ensemble.class_names))
        except UserError as error:
            raise UserError(f"member {member.name} cannot be exported: {error}") from error


def check_new(directory: Path) -> None:
    """Raise UserError where the directory exists already."""
    if directory.exists():
        raise UserError(f"{directory} exists already: choose another --out")


def write_ensemble(ensemble: Ensemble, directory: Path) -> None:
    """Write `directory`, whole or not at all: ensemble.json and members/01, 02, … in rank order.

    Each member has its config.json and best.safetensors, in which no path of this machine is left. Raises UserError
    where `directory` exists already.
    """
    with _new_directory(directory) as temporary:
        for rank, member in enumerate(ensemble.members, start=1):
            _write_member(member, member_files(temporary, rank))
        save_ensemble(temporary / ENSEMBLE_FILE, _without_paths(ensemble.description))


@contextmanager
def model_parts(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the arguments of MLflow's `pyfunc.save_model` and `log_model` for the exported ensemble in `directory`.

    Because the requirements are stated, MLflow does not load the model and ask the package index in order to find them.
    """
    with _plainly_named(directory) as plain:
        yield {
            "python_model": str(MODEL_CODE),
            "artifacts": {ARTIFACT: str(plain)},
            "pip_requirements": [f"segvote=={version('segvote')}", f"mlflow=={version('mlflow')}"],
        }


@contextmanager
def _plainly_named(directory: Path) -> Iterator[Path]:
    """Yield the directory, or a copy of it for this block where its path holds what MLflow would decode, like %2F.

    The files of the copy are hard links where the file system allows it. MLflow refuses symbolic links.
    """
    if unquote(str(directory.absolute())) == str(directory.absolute()):
        yield directory
        return
    with tempfile.TemporaryDirectory() as place:
        yield Path(shutil.copytree(directory, Path(place) / ARTIFACT, copy_function=_link_or_copy))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def member_files(directory: Path, rank: int) -> TrialFiles:
    """Return the files of the member of an exported ensemble whose rank, counted from 1, is `rank`."""
    return TrialFiles(directory / MEMBERS / f"{rank:02d}")


def _write_member(member: Member, files: TrialFiles) -> None:
    write_json(files.config, member.config.to_dict() | dict.fromkeys(PATH_KEYS))
    with replacing(files.best_weights) as temporary:
        shutil.copyfile(member.weights, temporary)


def _without_paths(description: EnsembleRecord) -> EnsembleRecord:
    members = [
        replace(listed, params=listed.params | {key: str(None) for key in PATH_KEYS if key in listed.params})
        for listed in description.members
    ]
    return replace(description, members=tuple(members))


@contextmanager
def _new_directory(directory: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `directory`; rename it if the block succeeds, remove it if not."""
    check_new(directory)
    temporary = directory.with_name(f".{directory.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        os.rename(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
