"""The decorator of every Numba kernel in this room, where their machine code is kept, and the processor's own
instructions on words of bits."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic


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
    another file: with a directory of Numba's choice, an update would go on with parts of the kernels before it.
    """
    room = Path(__file__).parent
    kernels = (source for source in (path.read_bytes() for path in sorted(room.glob("*.py"))) if b"compiled" in source)
    name = f"kernels-{hashlib.sha256(b''.join(kernels)).hexdigest()[:16]}"
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


@intrinsic
def population(typing_context, word):
    """Number of set bits of a uint64, as int64."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def lowest_bit(typing_context, word):
    """Place of the lowest set bit of a uint64, as int64; 64 where none is set."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.int64(types.uint64), generate


@intrinsic
def bytes_at(typing_context, address):
    """Pointer to uint8 at a uint64 address, for `numba.carray`: its memory must outlive the kernel's call."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint8)(types.uint64), generate


@intrinsic
def words_at(typing_context, address):
    """Pointer to uint64 at a uint64 address, for `numba.carray`: its memory must outlive the kernel's call."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint64)(types.uint64), generate
