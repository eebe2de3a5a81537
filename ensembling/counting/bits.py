"""Words of 64 bits in kernels: their constants, and the processor's own instructions on them."""

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WORD_BITS = 64
ONE = np.uint64(1)
NONE = np.uint64(0)
ALL = ~NONE


@intrinsic
def population(typing_context, word):
    """Return the number of set bits of a uint64, as int64."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def lowest_bit(typing_context, word):
    """Return the index of the lowest set bit of a uint64, as int64; 64 where none is set."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.int64(types.uint64), generate


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
