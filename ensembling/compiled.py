"""The decorator of every Numba kernel in this room, and the processor's own instructions on words of bits."""

from collections.abc import Callable
from typing import Any

import numba
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled by Numba without the interpreter lock, its machine code kept on disk where that is possible.

    A read-only installation without a writable user cache makes Numba refuse `cache=True` with RuntimeError; the
    kernel is then compiled anew in each process.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


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
