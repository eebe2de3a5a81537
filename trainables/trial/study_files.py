"""The names of a study's files, and where the study with a given id is now."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainables.files import read_json

MANIFEST = "study.json"
ENSEMBLE_FILE = "ensemble.json"
TARGET = "holdout.target"  # the holdout's masks, in the format of predictions
SPACE = "space.py"  # a copy of the user's own space file
TRIALS = "trials"


def study_id(directory: Path) -> str | None:
    """Return the id of the study in `directory`; None where there is none, or its study.json cannot be read."""
    identity = _manifest(directory).get("id")
    return identity if isinstance(identity, str) else None


def first_name(directory: Path) -> str | None:
    """Return the name that the study in `directory` was started with; None where its study.json does not say it."""
    name = _manifest(directory).get("name")
    return name if isinstance(name, str) else None


def is_refit(directory: Path) -> bool:
    """Return whether the study in `directory` is a refit, as far as its study.json can be read."""
    return bool(_manifest(directory).get("refit"))


def _manifest(directory: Path) -> dict[str, Any]:
    try:
        found = read_json(directory / MANIFEST)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def trial_directories(study: Path) -> list[Path]:
    """Return the directories of the trials of the study in the directory `study`, in the order of their numbers.

    Other directories beside them, such as a copy that somebody made of one, are left out.
    """
    return sorted((path for path in (study / TRIALS).glob("[0-9]*") if path.name.isdecimal()), key=_number)


def _number(trial: Path) -> int:
    return int(trial.name)


def find_study(name: str, identity: str | None, roots: Iterable[Path]) -> Path | None:
    """Return the directory of a study in one of the runs directories `roots`; None where none of them has it.

    A study is identified by its id, because it may have been renamed and another may have its old name. Where the id is
    not known, the name is used.
    """
    roots = [root for root in dict.fromkeys(map(Path, roots)) if root.is_dir()]
    named = [root / name for root in roots if (root / name / TRIALS).is_dir()]
    if identity is None:
        return named[0] if named else None
    for directory in named:
        if study_id(directory) in (identity, None):
            return directory
    renamed = (path.parent for root in roots for path in sorted(root.glob(f"*/{MANIFEST}")))
    return next((directory for directory in renamed if study_id(directory) == identity), None)
