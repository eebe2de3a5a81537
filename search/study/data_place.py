"""The directory of a data set, as it was given on the command line."""

from pathlib import Path

from rich.console import Console

from search.report.console import say
from trainables.errors import UserError

BUILT_IN = "sample"  # the name of the built-in data set, given in place of a directory


def data_directory(path: Path, console: Console, flag: str = "--data") -> Path:
    """Return the directory of a data set. Where its train.json was named instead, print that its directory is taken.

    Raises UserError where there is no such directory.
    """
    if path.name == "train.json" and path.is_file():
        say(console, f"{flag} {path} is a file: its directory, {path.parent}, is used.")
        return path.parent
    if path.is_file():
        raise UserError(
            f"{flag} {path} is a file: give its directory, {path.parent}, and name the file by --train-json {path.name}"
        )
    if not path.is_dir():
        raise UserError(
            f"{flag} {path}: there is no such directory; give a directory that holds train.json and its images"
        )
    return path
