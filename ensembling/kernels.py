"""The decorator of every Numba kernel in this package, and where their machine code is kept."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import config

UNUSED_DAYS = 30  # a study may run for weeks, and write to the directory of the code with which it began


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` by Numba without the interpreter lock; keep its machine code on disk where that is possible.

    Where no directory can be written, or the function has no file (RuntimeError of Numba), the kernel is compiled anew
    in each process.
    """
    if (directory := _cache_directory()) is None:
        return numba.njit(nogil=True)(function)
    own, config.CACHE_DIR = config.CACHE_DIR, directory
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
    finally:
        config.CACHE_DIR = own


@cache
def _cache_directory() -> str | None:
    """Return a writable directory for the kernels as they are now, or None.

    Numba compiles a kernel again when its own file has changed, but not when one that it calls has, or a constant from
    another file: with a directory of Numba's choice, an update would go on with parts of the kernels before it. So the
    directory is named by all files of this package, any of which may hold such a constant. Directories of earlier code
    beside it are removed when nobody has used them for 30 days.
    """
    package = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(package.rglob("*.py")))
    name = f"kernels-{hashlib.sha256(sources).hexdigest()[:16]}"
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for parent in (config.CACHE_DIR, package / "__pycache__", Path(user) / "segvote"):
        if parent:
            directory = Path(parent, name)
            try:
                directory.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=directory).close()
                os.utime(directory)
            except OSError:
                continue
            _remove_unused(directory)
            return str(directory)
    return None


def _remove_unused(current: Path) -> None:
    """Remove the directories of kernels beside the current one that nobody has used for 30 days."""
    for other in current.parent.glob("kernels-*"):
        try:
            days = (time.time() - other.stat().st_mtime) / 86400
        except OSError:  # another process has just removed it
            continue
        if other != current and days > UNUSED_DAYS:
            shutil.rmtree(other, ignore_errors=True)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` as a part of the kernel that calls it for every block: a call costs tens of nanoseconds."""
    return numba.njit(nogil=True, forceinline=True)(function)
