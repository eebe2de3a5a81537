"""An ensemble that can predict: who votes, in rank order, with the trained weights of each."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ensembling.predictions import read_predictions
from ensembling.registered import REGISTERED, download_registered
from trainables.config import TrialConfig
from trainables.errors import UserError
from trainables.trial_files import TrialFiles, read_json
from trainables.views import Views

ENSEMBLE_FILE = "ensemble.json"
PLACES = ("weights_dir", "init_from")  # of files on a machine: a resumed study may have others
MEMBERS = "members"  # of an exported ensemble: a directory for each member, named by its place


@dataclass(frozen=True)
class Member:
    """A trained trial. `votes` is how many it has; `miou` what it scored on the holdout, None where nothing did."""

    name: str
    run_id: str
    config: TrialConfig
    weights: Path
    votes: int
    miou: float | None

    def weights_sha256(self) -> str:
        """What was predicted belongs to it: a trial that goes on replaces its weights."""
        with self.weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Ensemble:
    """Members in rank order. `views` are those that the set was selected with; `description` is ensemble.json."""

    name: str
    members: tuple[Member, ...]
    class_names: tuple[str, ...]
    views: Views
    description: dict[str, Any]

    @property
    def votes(self) -> tuple[int, ...]:
        return tuple(member.votes for member in self.members)


def open_ensemble(reference: str, runs_dir: Path, connect: Callable[[], MlflowClient]) -> Ensemble:
    """The ensemble that `reference` means, with all its members' files found.

    It is an ensemble.json, a directory that holds one (a study, or an exported ensemble), the id of an ensemble's or a
    trial's run in MLflow, or a registered model as models:/name/version or models:/name@alias. Members are looked for
    in members/ beside the file, then in the studies of the directories above it and of `runs_dir`. Raises UserError
    where something is gone.
    """
    path = Path(reference).expanduser()
    if path.is_dir():
        path = path / ENSEMBLE_FILE
    if path.is_file():
        return _from_file(path.resolve(), runs_dir)
    if reference.startswith(REGISTERED):
        return _from_file(download_registered(reference, runs_dir, connect()) / ENSEMBLE_FILE, runs_dir)
    if path.suffix == ".json" or "/" in reference:
        raise UserError(f"--ensemble {reference}: there is no such file")
    return _from_mlflow(reference, runs_dir, connect())


def _from_file(path: Path, runs_dir: Path) -> Ensemble:
    try:
        description = read_json(path)
        listed, class_names = [dict(one) for one in description["members"]], tuple(description["class_names"])
        views = Views.from_dict(description["views"]) if description.get("views") else Views()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no ensemble.json ({error!r}): select one with segvote ensemble") from error
    members = tuple(find_member(one, place, path, runs_dir) for place, one in enumerate(listed, start=1))
    name = path.parent.name
    return Ensemble(name, members, class_names, views, description)


def find_member(listed: dict[str, Any], place: int, ensemble_file: Path, runs_dir: Path) -> Member:
    """The member at `place`, from 1, of the ensemble in `ensemble_file`, as listed there. Raises UserError."""
    name = listed.get("name", f"at place {place}")
    try:
        files = _files_of(listed, place, ensemble_file, runs_dir)
        config = TrialConfig.from_dict(read_json(files.config))
        votes, run_id = int(listed.get("votes", 1)), listed["run_id"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"member {name} of {ensemble_file} cannot vote: {error}") from error
    _check_same_trial(listed.get("params", {}), config, f"member {name} of {ensemble_file} is gone: {files.directory}")
    return Member(name, run_id, config, files.best_weights, votes, listed.get("miou"))


def _check_same_trial(params: dict[str, str], config: TrialConfig, what: str) -> None:
    """Raises UserError where a directory was taken by another trial since. `params` are as MLflow keeps them."""
    found = {key: str(value) for key, value in config.to_dict().items() if key not in PLACES}
    for key, value in params.items():
        if key in found and found[key] != value:
            raise UserError(f"{what} holds another trial (its {key} is {found[key]}, not {value})")


def _files_of(listed: dict[str, Any], place: int, ensemble_file: Path, runs_dir: Path) -> TrialFiles:
    """Of the member's configuration and weights. Raises UserError that names where they were looked for."""
    in_study = Path(listed["study"]) / "trials" / f"{int(listed['trial']):04d}"
    above = [*ensemble_file.parents][:4]
    looked = [ensemble_file.parent / MEMBERS / f"{place:02d}", *(root / in_study for root in [*above, runs_dir])]
    for directory in looked:
        if TrialFiles(directory).config.exists():
            files = TrialFiles(directory)
            if files.best_weights.exists():
                return files
            raise UserError(f"{files.best_weights} is not there: restore it, or train the trial again")
    raise UserError(
        f"there is no directory {in_study} in {runs_dir}: give the --runs-dir that holds the study, or select again "
        "without it"
    )


def _from_mlflow(reference: str, runs_dir: Path, client: MlflowClient) -> Ensemble:
    with tempfile.TemporaryDirectory() as directory:
        try:
            run = client.get_run(reference)
            if run.data.tags.get("segvote.kind") == "trial":
                file = _describe_trial(client, run, Path(directory))
            else:
                file = Path(client.download_artifacts(reference, ENSEMBLE_FILE, directory))
        except (MlflowException, OSError) as error:
            raise UserError(
                f"--ensemble {reference} is neither a file nor the run of an ensemble or trial in MLflow "
                f"({str(error).splitlines()[0]})"
            ) from error
        return _from_file(file, runs_dir)


def _describe_trial(client: MlflowClient, run: Any, directory: Path) -> Path:
    """A single trial as an ensemble of one."""
    found = Path(client.download_artifacts(run.info.run_id, "predictions", str(directory)))
    tags = run.data.tags
    member = {
        "name": run.info.run_name,
        "run_id": run.info.run_id,
        "study": tags["segvote.study"],
        "trial": int(tags["segvote.trial"]),
        "params": run.data.params,
    }
    names = read_predictions(next(found.iterdir())).class_names
    file = directory / ENSEMBLE_FILE
    file.write_text(json.dumps({"members": [member], "class_names": list(names)}))
    return file
