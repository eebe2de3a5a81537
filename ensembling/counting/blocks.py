"""Kernels that turn packed pixels into blocks: 64 pixels of one group side by side, a word for each candidate.

A group has its classes and which of them is the target. Of each class but the last, a block keeps a row: words of one
bit a pixel, one for each candidate (padded to 64), that say where the candidate votes for that class.
"""

from typing import NamedTuple

import numpy as np

from ensembling.counting.grouping import MOST_CLASSES
from ensembling.counting.words import ABSTAIN, NONE, ONE, WORD_BITS
from ensembling.kernels import compiled


class Group(NamedTuple):
    """Columns of a table of groups, int64 (groups, 5 + MOST_CLASSES)."""

    number: int = 0  # of classes
    hit: int = 1  # which of them is the target; `number` for none
    first_block: int = 2
    blocks: int = 3
    first_row: int = 4
    classes: int = 5  # and on


COLUMN = Group()


@compiled
def read_keys(keys):  # pragma: no cover - compiled
    """The table of groups with these keys, blocks and rows yet unknown."""
    groups = np.zeros((keys.size, COLUMN.classes + MOST_CLASSES), np.int64)
    for group in range(keys.size):
        key, number = keys[group] >> 3, 0
        while key >> (8 * number) != 1:
            number += 1
        groups[group, COLUMN.number], groups[group, COLUMN.hit] = number, keys[group] & 7
        for kind in range(number):
            groups[group, COLUMN.classes + kind] = key >> (8 * (number - 1 - kind)) & 255
    return groups


@compiled
def place_groups(groups, members, least):  # pragma: no cover - compiled
    """Fill in blocks and rows of groups with `least` pixels: how many there are, and the others' pixels and classes."""
    count = np.zeros(groups.shape[0], np.int64)
    for group in members:
        count[group] += 1
    blocks, rows, pixels, classes = 0, 0, 0, 0
    for group in range(groups.shape[0]):
        number = groups[group, COLUMN.number]
        if count[group] >= least:
            groups[group, COLUMN.blocks] = -(-count[group] // WORD_BITS)
            groups[group, COLUMN.first_block], groups[group, COLUMN.first_row] = blocks, rows
            blocks += groups[group, COLUMN.blocks]
            rows += groups[group, COLUMN.blocks] * (number - 1)
        else:
            pixels += count[group]
            classes += count[group] * number
    return blocks, rows, pixels, classes


@compiled
def place_pixels(groups, members, masks, runs, rows, labels, kinds, classes, voters):  # pragma: no cover - compiled
    """Put pixels of large groups into `rows` uint64 (rows, 64 * words), zeros at first, others one after another.

    `members` int32 (pixels,) are the pixels' groups, `masks` the words of their classes but the last; `runs` int64
    (runs, 2) say from which pixel on they are of which fold. Returns spans int64 (spans, 3): first slot, end and fold,
    where a slot is 64 * block + bit; and the runs of the others, int64 (runs, 4): first, end, first class and fold.
    """
    used, last_run = np.zeros(groups.shape[0], np.int64), np.full(groups.shape[0], -1, np.int64)
    last_span, spans = np.empty(groups.shape[0], np.int64), np.empty((members.size, 3), np.int64)
    others = np.empty((runs.shape[0], 4), np.int64)
    entry, count, single, begun, row = 0, 0, 0, 0, 0
    for run in range(runs.shape[0]):
        stop = runs[run + 1, 0] if run + 1 < runs.shape[0] else members.size
        others[run, 0], others[run, 2], others[run, 3] = single, begun, runs[run, 1]
        for pixel in range(runs[run, 0], stop):
            group = members[pixel]
            number = groups[group, COLUMN.number]
            if groups[group, COLUMN.blocks]:
                slot = used[group]
                used[group] += 1
                first = groups[group, COLUMN.first_row] + (slot >> 6) * (number - 1)
                for kind in range(number - 1):
                    for word in range(masks.shape[1]):
                        rows[first + kind, word * WORD_BITS + (slot & 63)] = masks[entry + kind, word]
                if last_run[group] != run:
                    begin = groups[group, COLUMN.first_block] * WORD_BITS + slot
                    if last_run[group] >= 0:
                        spans[last_span[group], 1] = begin
                    last_run[group], last_span[group] = run, count
                    spans[count, 0], spans[count, 2] = begin, runs[run, 1]
                    count += 1
            else:
                hit = groups[group, COLUMN.hit]
                labels[single] = groups[group, COLUMN.classes + hit] if hit < number else ABSTAIN
                kinds[single] = number
                for kind in range(number):
                    classes[begun + kind] = groups[group, COLUMN.classes + kind]
                for kind in range(number - 1):
                    voters[row + kind] = masks[entry + kind]
                single, begun, row = single + 1, begun + number, row + number - 1
            entry += number - 1
        others[run, 1] = single
    for group in range(groups.shape[0]):
        if last_run[group] >= 0:
            spans[last_span[group], 1] = groups[group, COLUMN.first_block] * WORD_BITS + used[group]
    for first in range(rows.shape[0]):
        for start in range(0, rows.shape[1], WORD_BITS):
            _transpose(rows[first, start : start + WORD_BITS])
    return spans[:count].copy(), others


@compiled
def _transpose(square):  # pragma: no cover - compiled
    """Turn 64 words of 64 bits: bit i of word j becomes bit j of word i, in six rounds of swapped quarters."""
    width, mask = 32, np.uint64(0x00000000FFFFFFFF)
    while width:
        shift = np.uint64(width)
        for start in range(0, WORD_BITS, 2 * width):
            for word in range(start, start + width):
                swapped = ((square[word] >> shift) ^ square[word + width]) & mask
                square[word] ^= swapped << shift
                square[word + width] ^= swapped
        width >>= 1
        mask ^= mask << np.uint64(width)


@compiled
def select_slots(spans, wanted, slots):  # pragma: no cover - compiled
    """Set the bits of the wanted folds' slots in `slots` uint64 (blocks,), zeros at first."""
    for span in range(spans.shape[0]):
        if wanted[spans[span, 2]]:
            start, stop = spans[span, 0], spans[span, 1]
            for block in range(start // WORD_BITS, -(-stop // WORD_BITS)):
                low, high = max(start - block * WORD_BITS, 0), min(stop - block * WORD_BITS, WORD_BITS)
                bits = ~NONE if high - low == WORD_BITS else (ONE << np.uint64(high - low)) - ONE
                slots[block] |= bits << np.uint64(low)
