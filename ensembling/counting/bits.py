"""Words of 64 bits in kernels: their constants, their set bits, and arrays at an address."""

import numpy as np
from numba import types
from numba.extending import intrinsic

from ensembling.kernels import inlined

WORD_BITS = 64
ONE = np.uint64(1)
NONE = np.uint64(0)
ALL = ~NONE


@inlined
def population(word):  # pragma: no cover - compiled
    """Return the number of set bits of a uint64; the compiler makes one instruction of this sum by halves."""
    word = word - ((word >> ONE) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@inlined
def lowest_bit(word):  # pragma: no cover - compiled
    """Return the index of the lowest set bit of a uint64; 64 where none is set."""
    return population(~word & (word - ONE))


@intrinsic
def bytes_at(typing_context, address):
    """Return a pointer to uint8 at a uint64 address, for `numba.carray`: its memory must outlive the kernel's call."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint8)(types.uint64), generate


@intrinsic
def words_at(typing_context, address):
    """Return a pointer to uint64 at a uint64 address, as `bytes_at` does."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint64)(types.uint64), generate
