"""Study: one search on disk. Its directory holds its definition and the progress of every trial."""

import errno
import hashlib
import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from search.study.data_place import BUILT_IN
from search.study.driver import driving
from search.study.manifest import FORMAT_VERSION, read_manifest
from search.study.settings import RefitSettings, Settings, StudySettings
from search.study.space_file import keep_space_file
from trainables.data import Dataset, Splits
from trainables.data.scenes import Overlap, Scenes
from trainables.errors import UserError, nearest
from trainables.files import read_json, write_json
from trainables.study_data import PseudoData, StudyData, StudyEdits
from trainables.trial.files import TrialFiles
from trainables.trial.study_files import ENSEMBLE_FILE, MANIFEST, TARGET, TRIALS, trial_directories

LONGEST_NAME = 100  # characters; names of runs and files are made of it
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)  # what file systems over the network say that are mounted without locks
FLAG_OF = {"data": "data", "pseudo-labels": "pseudo"}
# Names of other files and directories in the runs directory.
RESERVED = ("sample", "artifacts", "ensembles", "exported", "foreseen", "downloaded", "mlflow.db")


@dataclass(frozen=True)
class Study:
    """The study in `<runs_dir>/<name>/`: study.json, trials/<number>/, and what the end of a search adds."""

    directory: Path
    manifest: dict[str, Any]
    data: StudyData

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def id(self) -> str:
        """Return the id that distinguishes it from others of the same name, such as a colleague's or a deleted one."""
        return self.manifest["id"]

    @property
    def refit(self) -> dict[str, Any] | None:
        """Return what a refit trains again, as search/commands/refit/models.py describes it; None for a search."""
        return self.manifest.get("refit")

    def with_data_in(self, root: Path, pseudo_root: Path | None) -> "Study":
        """Return the same study with its data set, and its pseudo-labels if there are any, in these directories."""
        settings, data = dict(self.manifest["settings"]), self.manifest["data"]
        if settings["data"] not in (None, BUILT_IN):
            settings["data"] = str(root)
        manifest = self.manifest | {"settings": settings, "data": data | _place(root, self.directory)}
        pseudo = self.data.pseudo
        if pseudo and pseudo_root:
            pseudo = replace(pseudo, root=pseudo_root)
            manifest |= {"settings": settings | {"pseudo": str(pseudo_root)}, "pseudo": pseudo.to_dict()}
        return Study(self.directory, manifest, replace(self.data, root=root, pseudo=pseudo))

    @property
    def learnt(self) -> list[dict[str, Any]]:
        """Return what the study learns from others, as search/tuning/searchers/other_studies.py describes it."""
        return self.manifest.get("learnt", [])  # older studies lack the key

    @contextmanager
    def claimed(self, *, resume: bool) -> Iterator[None]:
        """Lock the study against other commands; where it is new, take its name by writing study.json.

        Raises UserError where another process runs the study, or where the name of a new one was taken in the meantime.
        """
        self.trials_dir.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.directory / ".lock", timeout=0):
                if not resume:
                    _refuse_taken_name(self.directory)
                    keep_space_file(self.manifest["settings"].get("space", ""), self.directory)
                if not resume or read_manifest(self.directory) != self.manifest:  # data that was moved, or other flags
                    write_json(self.directory / MANIFEST, self.manifest)
                with driving(self.directory):
                    yield
        except Timeout as error:
            raise UserError(
                f"the study {self.name} is being run by another process: stop that process first, or choose "
                "another --name"
            ) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise UserError(
                f"{self.directory} is on a file system that locks no files ({error.strerror}), so nothing would keep "
                "two searches from running one study: mount it with locks, or give another --runs-dir"
            ) from error

    @property
    def trials_dir(self) -> Path:
        return self.directory / TRIALS

    @property
    def ensemble_file(self) -> Path:
        return self.directory / ENSEMBLE_FILE

    @property
    def target_file(self) -> Path:
        """Return the path of the holdout's masks, which have the format of a trial's predictions.

        Selection needs no other file of the data set.
        """
        return self.directory / TARGET

    @property
    def overlap(self) -> Overlap | None:
        """Return which scenes training and holdout share; None for a refit or an old study, where none were counted."""
        found = self.manifest.get("scenes")
        return Overlap.from_dict(found) if found else None

    @property
    def holdout_fingerprint(self) -> str:
        """Return the fingerprint of the holdout's images and masks, by which predictions are comparable."""
        return self.manifest["data"].get("holdout_fingerprint") or self._fingerprint_of_old()

    def _fingerprint_of_old(self) -> str:
        """Return the fingerprint of a study that was started before images had fingerprints of their own.

        It is made of the data set's fingerprint and the rows of the holdout.
        """
        return hashlib.sha256(f"{self.data.fingerprint} {self.data.splits.holdout}".encode()).hexdigest()

    @property
    def holdout_edits(self) -> str:
        """Return the fingerprints of the edits that changed the holdout's labels; empty without any."""
        return self.manifest["data"].get("holdout_edits", "")

    def trial_files(self, number: int) -> TrialFiles:
        return TrialFiles(self.trials_dir / f"{number:04d}")

    def trials(self) -> list[TrialFiles]:
        """Return the trials whose configuration was written down, in order of their numbers."""
        found = (TrialFiles(path) for path in trial_directories(self.directory))
        return [files for files in found if files.suggestion.exists()]


def study_name(settings: Settings) -> str:
    """Return the name that was given, else that of the newest study when resuming, else one of space and time.

    Raises UserError where there is no study to resume.
    """
    if settings.name:
        return settings.name
    space = Path(settings.space).stem
    if not settings.resume:
        return f"{space}-{time.strftime('%Y%m%d-%H%M%S')}"
    found = sorted(settings.runs_dir.glob(f"*/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
    studies = [path.parent for path in found if _space_of(path.parent) == settings.space]
    if not studies:
        raise UserError(
            f"there is no study of space {space} in --runs-dir {settings.runs_dir} to resume: name it with --name"
        )
    return studies[-1].name


def check_name(settings: StudySettings, name: str) -> None:
    """Raise UserError where the name of a new study is taken or invalid, or where there is no study of it to resume."""
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise UserError(f"--name {name!r}: use letters, digits, '-', '_' and '.' only, since it names a directory")
    if len(name) > LONGEST_NAME and not settings.resume:
        raise UserError(f"--name has {len(name)} characters: {LONGEST_NAME} are allowed, since it names a directory")
    if name in RESERVED:
        raise UserError(f"--name {name}: this name is reserved in the runs directory, choose another")
    directory = settings.runs_dir / name
    if not settings.resume:
        _refuse_taken_name(directory)
    elif not (directory / MANIFEST).exists():
        known = known_studies(settings.runs_dir)
        raise UserError(
            f"there is no study {name} in --runs-dir {settings.runs_dir} to resume{nearest(name, known)}; studies "
            f"there: {', '.join(known) or 'none'}"
        )


def known_studies(runs_dir: Path) -> list[str]:
    """Return the names of the studies in the runs directory, in alphabetical order."""
    return sorted(path.parent.name for path in runs_dir.glob(f"*/{MANIFEST}"))


def _refuse_taken_name(directory: Path) -> None:
    if (directory / MANIFEST).exists():
        raise UserError(
            f"a study named {directory.name} exists in {directory}: resume it with --resume, or choose another --name"
        )


def stored_settings(settings: StudySettings, name: str) -> dict[str, Any]:
    """Return the settings in the study's study.json.

    Raises UserError where the study was started by another kind of command.
    """
    manifest = read_manifest(settings.runs_dir / name)
    kinds = {False: "search", True: "refit"}
    started, resuming = bool(manifest.get("refit")), isinstance(settings, RefitSettings)
    if started != resuming:
        raise UserError(f"{name} is no {kinds[resuming]}: resume it by segvote {kinds[started]} --resume --name {name}")
    return manifest["settings"]


def new_study(
    settings: StudySettings,
    dataset: Dataset,
    splits: Splits,
    pseudo: PseudoData | None = None,
    refit: dict[str, Any] | None = None,
    scenes: Scenes | None = None,
    edits: Sequence[StudyEdits] = (),
    learnt: Sequence[Mapping[str, Any]] = (),
) -> Study:
    """Return a study that is not on disk yet; `claimed` takes its name.

    Args:
        settings: The settings of the command.
        dataset: The data set.
        splits: Its splits.
        pseudo: The photos with pseudo-labels, if there are any.
        refit: What a refit trains again (see search/commands/refit/models.py); None for a search.
        scenes: The scenes of the data set; None where they were not looked for.
        edits: The corrections of training labels that trials may ask for.
    """
    manifest = {
        "format_version": FORMAT_VERSION,
        "id": uuid.uuid4().hex,
        "name": settings.name,
        "settings": settings.lasting() | settings.remembered(),
        "data": {
            **_place(dataset.root, settings.runs_dir / settings.name),
            "fingerprint": dataset.fingerprint,
            "holdout_fingerprint": dataset.fingerprint_of(splits.holdout),
            "holdout_edits": " ".join(one.edits.fingerprint for one in edits if one.edits.apply_to_holdout),
            "class_names": list(dataset.class_names),
            "class_id_of": {str(category): class_id for category, class_id in dataset.class_id_of.items()},
        },
        "splits": splits.to_dict(),
        "scenes": scenes and _overlap(scenes, splits).to_dict(),
        "pseudo": pseudo and pseudo.to_dict(),
        "edits": [one.to_dict() for one in edits],
        "refit": refit,
        "learnt": list(learnt),
        "code_version": code_version(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    return _study(settings.runs_dir / settings.name, manifest, settings.cache_dir)


def open_study(settings: StudySettings) -> Study:
    """Return the study that the settings name, which from now on remembers the flags of this command.

    Raises UserError where it cannot be read.
    """
    study = study_in(settings.runs_dir / settings.name, settings.cache_dir)
    remembered = study.manifest["settings"] | settings.remembered()
    return replace(study, manifest=study.manifest | {"settings": remembered})


def study_in(directory: Path, cache_dir: Path) -> Study:
    """Return the study in this directory. Raises UserError where it holds none that can be read."""
    return _study(directory, read_manifest(directory), cache_dir)


def _overlap(scenes: Scenes, splits: Splits) -> Overlap:
    return Overlap.of(scenes, [row for fold in splits.folds for row in fold], splits.holdout)


def known_study(runs_dir: Path, name: str, cache_dir: Path) -> Study:
    """Return the study of that name. Raises UserError, with the nearest name that there is, where there is none."""
    if not (runs_dir / name / MANIFEST).exists():
        known = known_studies(runs_dir)
        raise UserError(
            f"there is no study {name} in {runs_dir}{nearest(name, known)}; studies there: "
            f"{', '.join(known) or 'none'}; --runs-dir says where to look"
        )
    return study_in(runs_dir / name, cache_dir)


def _study(directory: Path, manifest: dict[str, Any], cache_dir: Path) -> Study:
    pseudo = manifest.get("pseudo")  # older studies lack the key
    data = StudyData(
        root=data_root(directory, manifest),
        unlabelled=manifest["settings"]["unlabelled"],
        fingerprint=manifest["data"]["fingerprint"],
        class_names=tuple(manifest["data"]["class_names"]),
        splits=Splits.from_dict(manifest["splits"]),
        cache_dir=cache_dir,
        pseudo=PseudoData.from_dict(pseudo) if pseudo else None,
        edits=tuple(StudyEdits.from_dict(one) for one in manifest.get("edits", ())),
        keep_last=bool(manifest.get("refit")),
        **data_files(manifest),
    )
    return Study(directory, manifest, data)


def _place(root: Path, study: Path) -> dict[str, str]:
    """Return the absolute path of a data set, and the one relative to the study in case both are moved together."""
    return {"root": str(root), "relative_root": os.path.relpath(root, study)}


def data_root(directory: Path, manifest: dict[str, Any]) -> Path:
    """Return the first existing directory in which the data set of the study in `directory` may be.

    It is looked for where it was relative to the study, and then at its absolute path. Only the fingerprint shows
    whether it is the same data set.
    """
    if manifest.get("settings", {}).get("data") == BUILT_IN:
        return directory.parent / BUILT_IN
    beside = manifest["data"].get("relative_root")
    near = [Path(os.path.normpath(directory / beside))] if beside else []
    places = [*near, Path(manifest["data"]["root"])]
    return next((place for place in places if place.is_dir()), places[-1])


def data_files(manifest: dict[str, Any]) -> dict[str, str | None]:
    """Return the names of the study's COCO files as arguments of `load_dataset`, None for the usual names."""
    return {key: manifest.get("settings", {}).get(key) for key in ("train_json", "val_json")}


def check_same_data(study: Study, dataset: Dataset, pseudo: PseudoData | None = None) -> None:
    """Raise UserError where the data changed since the study was started, because scores could not be compared."""
    _check_same("data", dataset.root, dataset.fingerprint, study.data.fingerprint, study)
    if pseudo and study.data.pseudo:
        _check_same("pseudo-labels", pseudo.root, pseudo.fingerprint, study.data.pseudo.fingerprint, study)


def _check_same(what: str, root: Path, found: str, started_on: str, study: Study) -> None:
    if found != started_on:
        raise UserError(
            f"the {what} in {root} are not those that the study {study.name} was started with (their fingerprint is "
            f"{found[:12]}, that of the study is {started_on[:12]}): restore them, give the directory where they lie "
            f"now as --{FLAG_OF[what]}, or start another study with another --name"
        )


def code_version() -> str:
    """Return the package's version, and the commit where the code runs from a git checkout."""
    root = Path(__file__).resolve().parents[2]
    try:
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return version("segvote")
    return f"{version('segvote')} ({commit.stdout.strip()})" if commit.returncode == 0 else version("segvote")


def _space_of(directory: Path) -> str | None:
    """Return the space of the study; None where its study.json is damaged."""
    try:
        return read_json(directory / MANIFEST)["settings"]["space"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
