"""Kernels that walk over the candidates' class maps: they count what all agree on and hand on what is disputed.

Disputed pixels are found by comparing every candidate with the first, byte by byte, which the compiler turns into
vector instructions. Where eight neighbours hold a disputed one, all candidates' eight bytes are copied to a tile, in
which masks are made: reading single pixels across the rows of large maps would thrash the cache.
"""

import numpy as np
from numba import carray

from ensembling.counting.bits import NONE, WORD_BITS, bytes_at, words_at
from ensembling.counting.compare_candidates import TILE_PIXELS, compare_candidates, new_comparison
from ensembling.counting.group_pixels import group_pixels
from ensembling.kernels import compiled, inlined

EIGHT = 8  # neighbouring pixels, a byte of a word each
SPREAD = np.uint64(0x0101010101010101)
BYTE = np.uint64(255)


@compiled
def pack_pixels(rows, target, runs, ids, agreed, labelled, packing):  # pragma: no cover - compiled
    """Count the pixels on which all candidates agree, and add the disputed ones to `packing`.

    Args:
        rows: uint64 (candidates,), the addresses of the candidates' class maps, uint8 (pixels,) each.
        target: uint64, the address of the target, uint8 (pixels,).
        runs: int64 (runs, 2), the first pixel and the end of each stretch of pixels to pack.
        ids: the `Ids` that are allowed.
        agreed: int64 (256, 256), by class id and target id; the agreed pixels are added to it.
        labelled: int64 (256,); the targets of the disputed pixels are added to it.
        packing: the `Packing` to which the disputed pixels are added.

    Returns:
        Whether the ids of all disputed pixels are allowed; those of the others are seen in `agreed`.
    """
    differences, dense_target = np.empty(TILE_PIXELS, np.uint8), np.empty(TILE_PIXELS, np.uint8)
    # Rows after the last candidate's, to make their number a multiple of 8, repeat the first's. A row length that is no
    # power of two keeps the rows of one column out of the same cache set.
    tile = np.empty(((rows.size + 7) // 8 * 8, TILE_PIXELS + 64), np.uint8)
    comparison = new_comparison((tile.shape[0] + WORD_BITS - 1) // WORD_BITS)
    eights = np.empty(TILE_PIXELS // EIGHT, np.int64)
    for run in range(runs.shape[0]):
        for start in range(runs[run, 0], runs[run, 1], TILE_PIXELS):
            size = min(TILE_PIXELS, runs[run, 1] - start)
            targets = carray(bytes_at(target + np.uint64(start)), (size,))
            _find_differences(rows, start, size, differences)
            first = carray(bytes_at(rows[0] + np.uint64(start)), (size,))
            disputed = _count_agreed(first, targets, differences, agreed, eights)
            for candidate in range(tile.shape[0]):
                row = carray(bytes_at(rows[candidate if candidate < rows.size else 0] + np.uint64(start)), (size,))
                _gather(row, eights[:disputed], tile[candidate])
            _gather(targets, eights[:disputed], dense_target)
            compare_candidates(tile, disputed * EIGHT, comparison)
            if not group_pixels(tile, comparison, disputed * EIGHT, dense_target, ids, labelled, packing):
                return False
    return True


@compiled
def _find_differences(rows, start, size, differences):  # pragma: no cover - compiled
    """Leave in `differences` the bits in which any candidate's class ids differ from the first candidate's."""
    differences[:] = 0
    first = carray(bytes_at(rows[0] + np.uint64(start)), (size,))
    candidate = 1
    while candidate + 4 <= rows.size:
        row_0 = carray(bytes_at(rows[candidate] + np.uint64(start)), (size,))
        row_1 = carray(bytes_at(rows[candidate + 1] + np.uint64(start)), (size,))
        row_2 = carray(bytes_at(rows[candidate + 2] + np.uint64(start)), (size,))
        row_3 = carray(bytes_at(rows[candidate + 3] + np.uint64(start)), (size,))
        for pixel in range(size):
            same = first[pixel]
            differences[pixel] |= (
                (row_0[pixel] ^ same) | (row_1[pixel] ^ same) | (row_2[pixel] ^ same) | (row_3[pixel] ^ same)
            )
        candidate += 4
    for rest in range(candidate, rows.size):
        row = carray(bytes_at(rows[rest] + np.uint64(start)), (size,))
        for pixel in range(size):
            differences[pixel] |= row[pixel] ^ first[pixel]


@compiled
def _count_agreed(first, targets, differences, agreed, eights):  # pragma: no cover - compiled
    """Count the pixels on which all agree; leave in `eights` which eight hold any other, and return their number."""
    disputed, full = 0, targets.size // EIGHT
    votes, labels, differ = _as_words(first, full), _as_words(targets, full), _as_words(differences, full)
    for eight in range(-(-targets.size // EIGHT)):
        if eight < full and differ[eight] == NONE and _is_one_id(votes[eight]) and _is_one_id(labels[eight]):
            agreed[votes[eight] & BYTE, labels[eight] & BYTE] += EIGHT
            continue
        is_disputed = False
        for pixel in range(eight * EIGHT, min((eight + 1) * EIGHT, targets.size)):
            if differences[pixel] == 0:
                agreed[first[pixel], targets[pixel]] += 1
            else:
                is_disputed = True
        if is_disputed:
            eights[disputed] = eight
            disputed += 1
    return disputed


@inlined
def _is_one_id(word):  # pragma: no cover - compiled
    """Return whether all eight bytes of a word are the same."""
    return word == (word & BYTE) * SPREAD


@compiled
def _gather(row, eights, dense):  # pragma: no cover - compiled
    """Copy the listed eights of the row side by side to the front of `dense`; what lies beyond its end is 0."""
    full, count = row.size // EIGHT, eights.size
    if count and eights[count - 1] == full:  # the last eight, cut off by the end of the row
        count -= 1
        dense[count * EIGHT : (count + 1) * EIGHT] = 0
        for pixel in range(full * EIGHT, row.size):
            dense[(count - full) * EIGHT + pixel] = row[pixel]
    words, copied = _as_words(row, full), _as_words(dense, count)
    for index in range(count):
        copied[index] = words[eights[index]]


@compiled
def _as_words(row, words):  # pragma: no cover - compiled
    return carray(words_at(np.uint64(row.ctypes.data)), (words,))
