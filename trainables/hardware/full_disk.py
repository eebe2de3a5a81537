"""Disks that are full: said as such, and found before a mapped file makes the kernel kill the process."""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


def take_room(path: Path) -> None:
    """Take the room of all bytes of the file, which may be sparse. Raises OSError where the disk has not as much.

    A write to a mapped file whose room is not there is no exception, but SIGBUS.
    """
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if size:
            os.posix_fallocate(file.fileno(), 0, size)


def describe_full_disk(error: BaseException, directories: Iterable[Path]) -> str | None:
    """Return "the disk of … is full", and what to do, where `error` says so; None for any other error.

    Where the error names no file, the disk is taken to be that of `directories` with the least room left.
    """
    if not isinstance(error, OSError) or error.errno not in FULL:
        return None
    there = [Path(directory) for directory in directories if Path(directory).exists()]
    where = error.filename or min(
        there, key=lambda directory: shutil.disk_usage(directory).free, default="this machine"
    )
    return f"the disk of {where} is full ({error.strerror}): make room there"
