"""The decorator of every Numba kernel in this room, and where their machine code is kept."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import config


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled by Numba without the interpreter lock, its machine code kept on disk where that is possible.

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
    """A writable directory for the kernels as they are now.

    Numba compiles a kernel again when its own file has changed, but not when one that it calls has, or a constant from
    another file: with a directory of Numba's choice, an update would go on with parts of the kernels before it. So the
    directory is named by all files of this room, any of which may hold such a constant.
    """
    room = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(room.rglob("*.py")))
    name = f"kernels-{hashlib.sha256(sources).hexdigest()[:16]}"
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for parent in (config.CACHE_DIR, room / "__pycache__", Path(user) / "segvote"):
        if parent:
            directory = Path(parent, name)
            try:
                directory.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=directory).close()
            except OSError:
                continue
            return str(directory)
    return None


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as a part of the kernel in the same file that calls it for every block: a call costs tens of ns."""
    return numba.njit(nogil=True, inline="always")(function)
