"""The decorator of every Numba kernel in this room."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled by Numba without the interpreter lock, its machine code kept on disk where that is possible.

    A read-only installation without a writable user cache makes Numba refuse `cache=True` with RuntimeError; the
    kernel is then compiled anew in each process.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
