"""Kernels that say who votes for what: of all candidates' bytes at a pixel, a mask of candidates for each class."""

import numpy as np

from ensembling.counting.words import NONE, ONE, WORD_BITS, lowest_bit
from ensembling.kernels import compiled

BLOCK_PIXELS = 4096


@compiled
def compare(tile, pixels, changes, who):  # pragma: no cover - compiled
    """Say who votes for what at each pixel, as far as it has up to three classes.

    A candidate's change is its id ^ the first candidate's. `changes` (3, pixels) gets the first two changes that occur,
    in the order of candidates, and whether others do; `who` (2, words, pixels) who changes at all, a bit a candidate,
    and who by the first of them. All of it on bytes side by side.
    """
    changes[:, :pixels] = 0
    eights = tile.shape[0] // 8
    some, same = np.empty((2, 8, BLOCK_PIXELS + 64), np.uint8)
    for eight in range(eights):
        place = eight % 8
        _compare_eight(tile, eight * 8, pixels, changes, some[place], same[place])
        if place == 7 or eight == eights - 1:
            some[place + 1 :, :pixels], same[place + 1 :, :pixels] = 0, 0
            _join(some, pixels, who[0, eight // 8])
            _join(same, pixels, who[1, eight // 8])


@compiled
def _compare_eight(tile, start, pixels, changes, who, who_second):  # pragma: no cover - compiled
    zero = np.uint8(0)
    for pixel in range(pixels):
        some, same, first = zero, zero, tile[0, pixel]
        second, third, more = changes[0, pixel], changes[1, pixel], changes[2, pixel]
        for bit in range(8):
            change = np.uint8(tile[start + bit, pixel] ^ first)
            second = change if second == zero else second
            other = change if change != second else zero
            third = other if third == zero else third
            some |= np.uint8(change != zero) << np.uint8(bit)
            same |= np.uint8((change != zero) & (other == zero)) << np.uint8(bit)
            more |= np.uint8((other != zero) & (other != third))
        changes[0, pixel], changes[1, pixel], changes[2, pixel] = second, third, more
        who[pixel], who_second[pixel] = some, same


@compiled
def _join(parts, pixels, words):  # pragma: no cover - compiled
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
def split(tile, changes, who, pixel, masks, found):  # pragma: no cover - compiled
    """Leave a pixel's classes, ascending, in `found` and who votes for each in `masks`; returns how many they are.

    Masks may have bits above the last candidate's.
    """
    words = masks.shape[1]
    first = tile[0, pixel]
    found[0], found[1], found[2] = first, first ^ changes[0, pixel], first ^ changes[1, pixel]
    number = 3 if changes[1, pixel] else 2
    for word in range(words):
        change, second = who[0, word, pixel], who[1, word, pixel]
        masks[0, word], masks[1, word], masks[2, word] = ~change, second, change & ~second
    if changes[2, pixel]:
        number = _split_third(tile, pixel, masks, found)
    for kind in range(1, number):
        place = kind
        while place > 0 and found[place - 1] > found[place]:
            found[place - 1], found[place] = found[place], found[place - 1]
            for word in range(words):
                mask = masks[place, word]
                masks[place, word] = masks[place - 1, word]
                masks[place - 1, word] = mask
            place -= 1
    return number


@compiled
def _split_third(tile, pixel, masks, found):  # pragma: no cover - compiled
    """Split who votes for neither of the first two classes: how many classes there are then."""
    kind = 2
    for start in range(masks.shape[1]):
        while masks[kind, start] != NONE:
            found[kind] = tile[start * WORD_BITS + lowest_bit(masks[kind, start]), pixel]
            for word in range(masks.shape[1]):
                rest = masks[kind, word]
                masks[kind, word] = NONE
                masks[kind + 1, word] = rest
                while rest != NONE:
                    bit = lowest_bit(rest)
                    if tile[word * WORD_BITS + bit, pixel] == found[kind]:
                        masks[kind, word] |= ONE << np.uint64(bit)
                    rest &= rest - ONE
                masks[kind + 1, word] &= ~masks[kind, word]
            kind += 1
    return kind
