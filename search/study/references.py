"""The meaning of --ensemble: found among the files of the runs directory, before MLflow is imported."""

import re
import shlex
from pathlib import Path

from search.study.place_flags import place_flags
from search.study.study import known_studies
from trainables.errors import UserError, nearest
from trainables.trial.files import TrialFiles
from trainables.trial.study_files import ENSEMBLE_FILE, MANIFEST, TRIALS, first_name, is_refit, trial_directories

RUN_ID = re.compile(r"[0-9a-f]{32}")  # of a run in MLflow
REGISTERED = "models:/"
TRIAL_NAME = re.compile(r"(.+)-(\d{4,})")


def find_reference(reference: str, runs_dir: Path, tracking_uri: str | None = None) -> str:
    """Return what `reference` means: the path of an ensemble.json or of a trial's directory, or an address in MLflow.

    The reference may be an ensemble.json; a directory that holds one, of a study or an exported ensemble; a trial's
    directory; the name of a study, of an ensemble or of a trial (STUDY-0004) in the runs directory; the id of a run in
    MLflow; or a registered model, models:/NAME/VERSION. A study whose directory was renamed is also found by its first
    name. Raises UserError for anything else, and for a study without an ensemble, with the command that makes one;
    only that command needs `tracking_uri`.
    """
    if reference.startswith(REGISTERED) or RUN_ID.fullmatch(reference):
        return reference
    path = Path(reference).expanduser()
    if path.is_file():
        return str(path)
    directories = _directories(reference, path, runs_dir)
    for directory in directories:
        if (directory / ENSEMBLE_FILE).is_file():
            return str(directory / ENSEMBLE_FILE)
        if TrialFiles(directory).config.is_file():
            return str(_trained(directory, reference))
        if (directory / MANIFEST).is_file():
            raise UserError(f"--ensemble {reference}: {_no_ensemble_yet(directory, tracking_uri)}")
    if directories:  # they hold something else, such as the results of an earlier prediction
        raise UserError(f"--ensemble {reference}: {directories[0]} holds no {ENSEMBLE_FILE} and is no study or trial")
    raise UserError(_nothing_there(reference, path, runs_dir))


def _directories(reference: str, path: Path, runs_dir: Path) -> list[Path]:
    """Return the existing directories of this path, or of this name in the runs directory."""
    found = [path, runs_dir / reference, runs_dir / "ensembles" / reference, runs_dir / "exported" / reference]
    found += _renamed(reference, runs_dir)
    trial = TRIAL_NAME.fullmatch(reference)
    if trial:
        studies = [runs_dir / trial[1], *_renamed(trial[1], runs_dir)]
        found += [study / TRIALS / trial[2] for study in studies]
    return [directory for directory in found if directory.is_dir()]


def _renamed(name: str, runs_dir: Path) -> list[Path]:
    """Return the study that was started under this name and whose directory was renamed, unless there are several."""
    studies = [path.parent for path in sorted(runs_dir.glob(f"*/{MANIFEST}")) if path.parent.name != name]
    found = [study for study in studies if first_name(study) == name]
    return found if len(found) == 1 else []


def _trained(directory: Path, reference: str) -> Path:
    if not TrialFiles(directory).best_weights.is_file():
        raise UserError(
            f"--ensemble {reference}: the trial in {directory} has no weights, since it failed or has not finished an "
            "epoch: name another trial"
        )
    return directory


def _no_ensemble_yet(directory: Path, tracking_uri: str | None) -> str:
    """Return why a study has no ensemble.json, and the command that makes it."""
    kind = "refit" if is_refit(directory) else "search"
    places = place_flags(directory.parent, tracking_uri)
    resume = shlex.join(["segvote", kind, "--resume", "--name", directory.name, *places])
    select = shlex.join(["segvote", "ensemble", "--studies", directory.name, *places])
    return (
        f"the study {directory.name} in {directory.parent} has no ensemble yet: its {kind} has not come to its end, or "
        f"no trial of it has predictions. Go on with it by\n    {resume}"
        + (f"\nor select among the trials that have ended by\n    {select}" if kind == "search" else "")
    )


def _nothing_there(reference: str, path: Path, runs_dir: Path) -> str:
    if path.suffix == ".json" or "/" in reference:
        return f"--ensemble {reference}: there is no such file or directory"
    studies = known_studies(runs_dir)
    trial = TRIAL_NAME.fullmatch(reference)
    if trial and trial[1] in studies:
        trials = trial_directories(runs_dir / trial[1])
        there = f"1 to {int(trials[-1].name)}" if trials else "none yet"
        return f"--ensemble {reference}: the study {trial[1]} has no trial {int(trial[2])}; it has {there}"
    return (
        f"--ensemble {reference} is no study or trial in --runs-dir {runs_dir}{nearest(reference, studies)}, and no "
        f"file or id of a run in MLflow; studies there: {', '.join(studies) or 'none'}"
    )
