"""A home directory for libraries that need one, where the user has none, as in containers and for service accounts."""

import os
import stat
import tempfile
from pathlib import Path

from trainables.errors import UserError


def ensure_home() -> None:
    """Set HOME to a private temporary directory where the user has no home directory.

    Raises UserError where another user has created a directory of that name.
    """
    try:
        if Path.home().is_dir():
            return
    except (
        RuntimeError,
        OSError,
    ):  # HOME is not set and the user has no entry in the password file, or it may not be read
        pass
    directory = Path(tempfile.gettempdir()) / f"segvote-home-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UserError(f"there is no home directory, and {directory} is not private: set HOME to a directory of yours")
    os.environ["HOME"] = str(directory)
