"""An ensemble that can predict: its members in rank order, with the trained weights of each."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ensembling.predictions import read_predictions
from ensembling.runs.ensemble import REMEDY, EnsembleRecord, ListedMember, read_ensemble, save_ensemble
from ensembling.runs.registered import REGISTERED, download_registered
from ensembling.runs.tags import KIND, STUDY, TRIAL
from trainables.config import TrialConfig
from trainables.data.batches.packed import file_sha256
from trainables.data.dataset import BACKGROUND
from trainables.data.scenes import Overlap
from trainables.errors import DamagedFileError, UserError
from trainables.files import read_json
from trainables.inference.tta import TestTimeAugmentation
from trainables.trial.files import TrialFiles
from trainables.trial.study_files import ENSEMBLE_FILE, MANIFEST, TRIALS, find_study

PATH_KEYS = ("weights_dir", "init_from")  # settings that are paths on one machine: a resumed study may have others
MEMBERS = "members"  # in an exported ensemble: the directory with a directory for each member, named by its rank


@dataclass(frozen=True)
class Member:
    """A trained trial that votes.

    `votes` is the number of its votes, and `miou` is its score on the holdout, or None where it was not scored.
    """

    name: str
    run_id: str
    config: TrialConfig
    weights: Path
    votes: int
    miou: float | None
    weights_sha256: str
    """The checksum of the weights that were selected: a trial that is trained further replaces its weights."""

    def check_weights(self) -> None:
        """Raise UserError where the file of the weights has changed since the ensemble was opened."""
        if file_sha256(self.weights) != self.weights_sha256:
            raise UserError(f"{self.weights} was replaced meanwhile: wait until its study has ended, and select again")


@dataclass(frozen=True)
class Ensemble:
    """The members of an ensemble in rank order.

    `views` are the views that each member averages, as when the set was selected. `description` is the content of
    ensemble.json.
    """

    name: str
    members: tuple[Member, ...]
    class_names: tuple[str, ...]
    views: TestTimeAugmentation
    description: EnsembleRecord

    @property
    def votes(self) -> tuple[int, ...]:
        return tuple(member.votes for member in self.members)

    @property
    def unlabelled(self) -> Literal["background", "ignore"]:
        """Return how the members were trained on pixels without annotation: as class 0, or not at all."""
        return self.description.unlabelled or ("background" if self.class_names[0] == BACKGROUND else "ignore")

    @property
    def labelled_classes(self) -> dict[int, str]:
        """Return the names of the classes that are categories of the data set, by id: all but the background."""
        every = enumerate(self.class_names)
        return {class_id: name for class_id, name in every if class_id or self.unlabelled == "ignore"}

    @property
    def category_ids(self) -> dict[str, int]:
        """Return the category ids of the data that the members were trained on, by name; empty where they are not
        known.
        """
        return dict(self.description.category_ids or {})


def open_ensemble(reference: str, runs_dir: Path, connect: Callable[[], MlflowClient]) -> Ensemble:
    """Return the ensemble that `reference` means, after the files of all its members were found.

    The reference is one of: an ensemble.json; a directory that holds one (of a study, or of an exported ensemble); the
    directory of a trial, which then votes alone; the id of the run of an ensemble or of a trial in MLflow; or a
    registered model, as models:/name/version or models:/name@alias.

    Members are looked for in members/ beside the file, then in the studies of the directories above it and of
    `runs_dir`. Raises UserError where a file is missing.
    """
    path = Path(reference).expanduser()
    if TrialFiles(path).config.is_file():
        return _from_trial(path.resolve())
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
    description = read_ensemble(path)
    try:
        views = TestTimeAugmentation.from_dict(description.views) if description.views else TestTimeAugmentation()
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(f"{path} is damaged (views: {error}): {REMEDY}") from error
    listed = enumerate(description.members, start=1)
    members = tuple(find_member(one, rank, path, runs_dir) for rank, one in listed)
    return Ensemble(path.parent.name, members, description.class_names, views, description)


def find_member(listed: ListedMember, rank: int, ensemble_file: Path, runs_dir: Path) -> Member:
    """Return a member with its files.

    Args:
        listed: The member as ensemble.json lists it.
        rank: Its rank, counted from 1.
        ensemble_file: The path of that ensemble.json.
        runs_dir: The runs directory in which its study is looked for as well.

    Raises:
        UserError: The member's files are missing or belong to another trial.
    """
    try:
        files = _files_of(listed, rank, ensemble_file, runs_dir)
        config = files.read_config()
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"member {listed.name} of {ensemble_file} cannot vote: {error}") from error
    _check_same_trial(listed.params, config, f"member {listed.name} of {ensemble_file} is gone: {files.directory}")
    sha256 = file_sha256(files.best_weights)
    if listed.weights_sha256 not in (None, sha256):
        raise UserError(
            f"member {listed.name} of {ensemble_file} is gone: {files.best_weights} was trained on or replaced since "
            "it was selected; select again with segvote ensemble"
        )
    return Member(listed.name, listed.run_id, config, files.best_weights, listed.votes, listed.miou, sha256)


def _check_same_trial(params: dict[str, str], config: TrialConfig, what: str) -> None:
    """Raise UserError where the directory holds another trial by now.

    `params` are the parameters of the trial as MLflow keeps them, which is as text.
    """
    found = {key: str(value) for key, value in config.to_dict().items() if key not in PATH_KEYS}
    for key, value in params.items():
        if key in found and found[key] != value:
            raise UserError(f"{what} holds another trial (its {key} is {found[key]}, not {value})")


def _files_of(listed: ListedMember, rank: int, ensemble_file: Path, runs_dir: Path) -> TrialFiles:
    """Return the files of the member's trial: its configuration and its weights.

    Raises UserError that names the directories where they were looked for.
    """
    study, number = listed.study, f"{listed.trial:04d}"
    above = [*ensemble_file.parents][:4]
    lies_in = find_study(study, listed.study_id, [*above, runs_dir])
    looked = [
        ensemble_file.parent / MEMBERS / f"{rank:02d}",
        *([lies_in / TRIALS / number] if lies_in else []),
        ensemble_file.parent / TRIALS / number,  # of a study that was renamed before its members had ids
    ]
    for directory in looked:
        if TrialFiles(directory).config.exists():
            files = TrialFiles(directory)
            if files.best_weights.exists():
                return files
            raise UserError(f"{files.best_weights} is not there: restore it, or train the trial again")
    raise UserError(
        f"there is no directory {study}/{TRIALS}/{number} in --runs-dir {runs_dir}: give the --runs-dir that holds the "
        "study, or select again without it"
    )


def _from_trial(directory: Path) -> Ensemble:
    """Return a trial that lies in a study as an ensemble of one."""
    study, files = directory.parents[1], TrialFiles(directory)
    name = f"{study.name}-{directory.name}"
    known = described_data(study)
    if not known:
        raise UserError(f"{directory} lies in no study, whose study.json would name its classes: restore it")
    weights = files.best_weights
    member = Member(name, "", files.read_config(), weights, 1, None, file_sha256(weights))
    listed = ListedMember(run_id="", name=name, study=study.name, trial=int(directory.name), rank=1)
    described = EnsembleRecord(members=(listed,), **known)
    return Ensemble(name, (member,), described.class_names, TestTimeAugmentation(), described)


def _from_mlflow(reference: str, runs_dir: Path, client: MlflowClient) -> Ensemble:
    with tempfile.TemporaryDirectory() as directory:
        try:
            run = client.get_run(reference)
            if run.data.tags.get(KIND) == "trial":
                file = _describe_trial(client, run, Path(directory), runs_dir)
            else:
                file = Path(client.download_artifacts(reference, ENSEMBLE_FILE, directory))
        except (MlflowException, OSError, LookupError, ValueError) as error:
            raise UserError(
                f"--ensemble {reference} is neither a file nor the run of an ensemble or trial in MLflow "
                f"({str(error).splitlines()[0]})"
            ) from error
        return _from_file(file, runs_dir)


def _describe_trial(client: MlflowClient, run: Any, directory: Path, runs_dir: Path) -> Path:
    """Write an ensemble.json whose only member is the trial of `run`, and return its path."""
    tags = run.data.tags
    member = ListedMember(
        name=run.info.run_name,
        run_id=run.info.run_id,
        study=tags[STUDY],
        trial=int(tags[TRIAL]),
        rank=1,
        params=run.data.params,
    )
    known = described_data(runs_dir / member.study)
    if not known:  # the study lies elsewhere, above or below
        found = Path(client.download_artifacts(run.info.run_id, "predictions", str(directory)))
        known = {"class_names": tuple(read_predictions(sorted(found.iterdir())[0]).class_names)}
    file = directory / ENSEMBLE_FILE
    save_ensemble(file, EnsembleRecord(members=(member,), **known))
    return file


def described_data(study: Path) -> dict[str, Any]:
    """Return what an EnsembleRecord says about the data of the study in this directory, by the names of its fields.

    The result is empty where the directory holds no study.
    """
    try:
        manifest = read_json(study / MANIFEST)
        data, unlabelled = manifest["data"], manifest["settings"]["unlabelled"]
        names = data["class_names"]
        ids = {names[class_id]: int(category) for category, class_id in data["class_id_of"].items()}
        scenes = Overlap.from_dict(manifest["scenes"]) if manifest.get("scenes") else None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}
    return {
        "class_names": tuple(names),
        "category_ids": ids,
        "unlabelled": unlabelled,
        "scenes": scenes,
    }
