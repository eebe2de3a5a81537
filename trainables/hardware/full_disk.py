"""Full disks: recognised among errors, and found before a write to a memory-mapped file ends the process."""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


def take_room(path: Path) -> None:
    """Reserve the disk space of all bytes of the file, which may be sparse.

    Raises OSError where the disk has too little free space. Without this, a write to the mapped file would end the
    process by SIGBUS instead of raising an exception.
    """
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if size:
            os.posix_fallocate(file.fileno(), 0, size)


def describe_full_disk(error: BaseException, directories: Iterable[Path]) -> str | None:
    """Return a sentence that says which disk is full and what to do, or None for any other error.

    Where the error names no file, the disk is taken to be the one of `directories` with the least free space.
    """
    if not isinstance(error, OSError) or error.errno not in FULL:
        return None
    there = [Path(directory) for directory in directories if Path(directory).exists()]
    where = error.filename or min(
        there, key=lambda directory: shutil.disk_usage(directory).free, default="this machine"
    )
    return f"the disk of {where} is full ({error.strerror}): free some space there"
