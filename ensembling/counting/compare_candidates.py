"""Kernels that write for each pixel and class a mask, with a bit for each candidate that votes for that class.

All candidates are compared with the first one, byte by byte, in loops over neighbouring pixels that the compiler turns
into vector instructions: they follow two further classes at each pixel, and only note where there are more.
"""

from typing import NamedTuple

import numpy as np

from ensembling.counting.bits import NONE, ONE, WORD_BITS
from ensembling.kernels import compiled

TILE_PIXELS = 4096
EIGHT = 8  # candidates, a bit of a byte each


class Comparison(NamedTuple):
    """What the candidates vote at the pixels of a tile, relative to the first candidate's class.

    A class is written as its exclusive or with that of the first candidate, so that 0 means that there is none.
    """

    second: np.ndarray  # uint8 (TILE_PIXELS,), the next class in the order of the candidates
    third: np.ndarray  # uint8 (TILE_PIXELS,), the one after it
    more: np.ndarray  # uint8 (TILE_PIXELS,), not 0 where yet another class occurs
    differs: np.ndarray  # uint64 (words, TILE_PIXELS), the candidates that do not vote as the first one does
    for_second: np.ndarray  # uint64 (words, TILE_PIXELS), the candidates that vote for the second class


@compiled
def new_comparison(words):  # pragma: no cover - compiled
    """Return a `Comparison` to be filled in, for 64 candidates a word."""
    return Comparison(
        np.empty(TILE_PIXELS, np.uint8),
        np.empty(TILE_PIXELS, np.uint8),
        np.empty(TILE_PIXELS, np.uint8),
        np.empty((words, TILE_PIXELS), np.uint64),
        np.empty((words, TILE_PIXELS), np.uint64),
    )


@compiled
def compare_candidates(tile, pixels, comparison):  # pragma: no cover - compiled
    """Fill in `comparison` for the first `pixels` of `tile`, uint8 (candidates, …) with a multiple of 8 candidates."""
    comparison.second[:pixels], comparison.third[:pixels], comparison.more[:pixels] = 0, 0, 0
    eights = tile.shape[0] // EIGHT
    differs = np.empty((EIGHT, TILE_PIXELS + 64), np.uint8)
    for_second = np.empty((EIGHT, TILE_PIXELS + 64), np.uint8)
    for eight in range(eights):
        byte = eight % EIGHT
        _compare_eight(
            tile[eight * EIGHT : (eight + 1) * EIGHT],
            tile[0],
            pixels,
            comparison.second,
            comparison.third,
            comparison.more,
            differs[byte],
            for_second[byte],
        )
        if byte == EIGHT - 1 or eight == eights - 1:
            differs[byte + 1 :], for_second[byte + 1 :] = 0, 0
            _join_bytes(differs, pixels, comparison.differs[eight // EIGHT])
            _join_bytes(for_second, pixels, comparison.for_second[eight // EIGHT])


@compiled
def _compare_eight(rows, first, pixels, second, third, more, differs, for_second):  # pragma: no cover - compiled
    zero = np.uint8(0)
    for pixel in range(pixels):
        differ, as_second = zero, zero
        known, other, beyond = second[pixel], third[pixel], more[pixel]
        for bit in range(EIGHT):
            change = np.uint8(rows[bit, pixel] ^ first[pixel])
            known = change if known == zero else known
            unknown = change if change != known else zero
            other = unknown if other == zero else other
            differ |= np.uint8(change != zero) << np.uint8(bit)
            as_second |= np.uint8((change != zero) & (unknown == zero)) << np.uint8(bit)
            beyond |= np.uint8((unknown != zero) & (unknown != other))
        second[pixel], third[pixel], more[pixel] = known, other, beyond
        differs[pixel], for_second[pixel] = differ, as_second


@compiled
def _join_bytes(parts, pixels, words):  # pragma: no cover - compiled
    """Make a word of the eight bytes of each pixel: `parts` (8, pixels), the lowest first."""
    for pixel in range(pixels):
        words[pixel] = (
            np.uint64(parts[0, pixel])
            | np.uint64(parts[1, pixel]) << np.uint64(8)
            | np.uint64(parts[2, pixel]) << np.uint64(16)
            | np.uint64(parts[3, pixel]) << np.uint64(24)
            | np.uint64(parts[4, pixel]) << np.uint64(32)
            | np.uint64(parts[5, pixel]) << np.uint64(40)
            | np.uint64(parts[6, pixel]) << np.uint64(48)
            | np.uint64(parts[7, pixel]) << np.uint64(56)
        )


@compiled
def list_classes(tile, pixel, num_candidates, classes, masks):  # pragma: no cover - compiled
    """List a pixel's classes and who votes for each, one candidate at a time, as a pixel of many classes needs it.

    Args:
        tile: uint8 (candidates, TILE_PIXELS or more), the candidates' class ids.
        pixel: the index of the pixel in the tile.
        num_candidates: the number of candidates.
        classes: uint8 (256,), in which the classes are left, ascending; an abstention counts as the last one.
        masks: uint64 (words, 256), in which is left who votes for each.

    Returns:
        The number of classes.
    """
    index_of = np.full(256, -1, np.int64)
    for candidate in range(num_candidates):
        index_of[tile[candidate, pixel]] = 0
    number = 0
    for class_id in range(256):
        if index_of[class_id] == 0:
            index_of[class_id], classes[number] = number, class_id
            masks[:, number] = NONE
            number += 1
    for candidate in range(num_candidates):
        word, bit = candidate // WORD_BITS, np.uint64(candidate % WORD_BITS)
        masks[word, index_of[tile[candidate, pixel]]] |= ONE << bit
    return number
