"""A user's own space file, of which each study keeps a copy, so that the study does not depend on the original file."""

import shutil
from pathlib import Path

from trainables.files import replacing
from trainables.trial.study_files import SPACE


def keep_space_file(space: str, directory: Path) -> None:
    """Copy the space file into the study's directory. A space of spaces/ has none."""
    if space.endswith(".py"):
        with replacing(directory / SPACE) as temporary:
            shutil.copyfile(space, temporary)


def find_space(space: str, directory: Path) -> str:
    """Return the space that the study in `directory` was started with, as a name or as the path of a file.

    That is the copy in the study where the file is no longer where it was.
    """
    if space.endswith(".py") and not Path(space).is_file() and (directory / SPACE).is_file():
        return str(directory / SPACE)
    return space


def is_space_of(space: str, directory: Path) -> bool:
    """Return whether the file `space`, wherever it lies, is the one that the study in `directory` was started with."""
    file, kept = Path(space), directory / SPACE
    return file.is_file() and kept.is_file() and file.read_bytes() == kept.read_bytes()


def has_changed(space: str, directory: Path) -> bool:
    """Return whether the file `space` is another than the copy of it that the study in `directory` keeps."""
    return space.endswith(".py") and (directory / SPACE).is_file() and not is_space_of(space, directory)
