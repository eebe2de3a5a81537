"""Kernels that put each disputed pixel in a block of its group: the pixels of the same classes and the same target.

A block collects 64 pixels of one group. Of each class but the last (who votes for none of the others, votes for it) it
has a row of masks, one for each pixel, a bit a candidate; blocks.py turns them to words of pixels, one a candidate.
Groups are found by a hash table; what no group takes is kept as a column of class ids.
"""

from typing import NamedTuple

import numpy as np

from ensembling.counting.bits import WORD_BITS
from ensembling.counting.compare_candidates import TILE_PIXELS, list_classes
from ensembling.kernels import compiled
from ensembling.vote import ABSTAIN

MOST_CLASSES = 6  # in a group: six bytes of its key
HASH_BITS = 15
EMPTY = np.int64(-1)  # no group's key
NO_CLASSES = np.int64((1 << 8 * MOST_CLASSES) - 1)  # a key whose bytes are all 255


class Ids(NamedTuple):
    """Which ids may occur: classes below `num_classes`, 255 in a vote, `ignore_index` in the target."""

    num_classes: int
    ignore_index: int


class Packing(NamedTuple):
    """Where disputed pixels go, with space for the worst case. A group's number is its slot in the hash table.

    A key has a byte for each class, ascending, 255 where there are fewer than six, then the target's index among them
    (their number where it is none of them).
    """

    keys: np.ndarray  # int64 (2**HASH_BITS,), EMPTY where there is no group
    pixels: np.ndarray  # int64 (2**HASH_BITS,), how many each group has
    open_row: np.ndarray  # int64 (2**HASH_BITS,), where the masks of each group's last block begin
    group_of_block: np.ndarray  # int64 (blocks,)
    masks: np.ndarray  # uint64 (rows, 64 * words): word w of pixel i of a block is at 64 * w + i
    votes: np.ndarray  # uint8 (pixels, candidates), of the pixels in no group
    target: np.ndarray  # uint8 (pixels,), of the pixels in no group
    used: np.ndarray  # a record: the number of groups, blocks, rows and columns in use
    most_groups: int  # the number of groups that are kept; pixels of further ones are in no group


USED = np.dtype([(name, np.int64) for name in ("groups", "blocks", "rows", "columns")])


def new_packing(num_candidates: int, pixels: int, most_groups: int) -> Packing:
    """Reserve memory for packing so many pixels; it is taken as it is written to."""
    blocks = pixels // WORD_BITS + min(pixels, most_groups)
    words = -(-num_candidates // WORD_BITS)
    return Packing(
        keys=np.full(1 << HASH_BITS, EMPTY),
        pixels=np.zeros(1 << HASH_BITS, np.int64),
        open_row=np.empty(1 << HASH_BITS, np.int64),
        group_of_block=np.empty(blocks, np.int64),
        masks=np.empty((blocks * (MOST_CLASSES - 1), WORD_BITS * words), np.uint64),
        votes=np.empty((pixels, num_candidates), np.uint8),
        target=np.empty(pixels, np.uint8),
        used=np.zeros(1, USED),
        most_groups=most_groups,
    )


@compiled
def group_pixels(tile, comparison, pixels, target, ids, labelled, packing):  # pragma: no cover - compiled
    """Add the disputed pixels of a tile to `packing`; return False where an id is not allowed.

    Args:
        tile: uint8 (candidates, TILE_PIXELS or more), the candidates' class ids, with a multiple of 8 candidates.
        comparison: the `Comparison` of the tile.
        pixels: how many pixels of the tile are in use, the first ones.
        target: uint8 (TILE_PIXELS,), the target of each pixel.
        ids: the `Ids` that are allowed.
        labelled: int64 (256,); the targets of the disputed pixels are added to it.
        packing: the `Packing` to which the pixels are added.
    """
    # Taken out of the tuples once: each access counts a reference, which would cost more than the pixel.
    second, third, more, differs, for_second = comparison
    masks, open_row = packing.masks, packing.open_row
    disputed = np.empty(TILE_PIXELS, np.int64)
    count, last_key, group = 0, EMPTY, EMPTY
    for pixel in range(pixels):
        disputed[count] = pixel
        count += second[pixel] != 0
    for pixel in disputed[:count]:
        label = target[pixel]
        labelled[label] += 1
        first = np.int64(tile[0, pixel])
        other = first ^ second[pixel]
        lowest, highest = min(first, other), max(first, other)
        if third[pixel]:
            last = first ^ third[pixel]
            lowest, highest, middle = min(lowest, last), max(highest, last), max(lowest, min(highest, last))
            key = NO_CLASSES << 24 | highest << 16 | middle << 8 | lowest
        else:
            middle = highest
            key = NO_CLASSES << 16 | highest << 8 | lowest
        if more[pixel] or highest >= ids.num_classes:
            if not _group_any(tile, pixel, label, ids, packing):
                return False
            continue
        if label == ids.ignore_index:
            continue
        number = 3 if third[pixel] else 2
        index = 0 if label == lowest else 1 if label == middle else 2 if label == highest else number
        key = (key & NO_CLASSES) | np.int64(index) << 8 * MOST_CLASSES
        if key != last_key:
            last_key, group = key, _find_group(key, packing)
        if group < 0:
            _add_column(tile, pixel, label, packing)
            continue
        slot = _add_to_group(group, number, packing)
        row = open_row[group]
        for word in range(differs.shape[0]):
            by_first, by_other = ~differs[word, pixel], for_second[word, pixel]
            by_last = ~by_first & ~by_other
            masks[row, slot] = by_first if lowest == first else by_other if lowest == other else by_last
            if number == 3:
                masks[row + 1, slot] = by_first if middle == first else by_other if middle == other else by_last
            slot += WORD_BITS
    return True


@compiled
def _group_any(tile, pixel, label, ids, packing):  # pragma: no cover - compiled
    """Add a pixel of any number of classes, or with abstentions; return False where an id is not allowed."""
    classes, masks = np.empty(256, np.uint8), np.empty((packing.masks.shape[1] // WORD_BITS, 256), np.uint64)
    num_candidates = packing.votes.shape[1]
    number = list_classes(tile, pixel, num_candidates, classes, masks)
    abstain = classes[number - 1] == ABSTAIN
    highest = classes[number - 2] if abstain else classes[number - 1]
    if highest >= ids.num_classes:
        return False
    if label == ids.ignore_index:
        return True
    group = EMPTY
    if number <= MOST_CLASSES and not abstain:
        key, index = NO_CLASSES, np.int64(number)
        for kind in range(number - 1, -1, -1):
            key = key << 8 | np.int64(classes[kind])
            if classes[kind] == label:
                index = np.int64(kind)
        group = _find_group((key & NO_CLASSES) | index << 8 * MOST_CLASSES, packing)
    if group < 0:
        _add_column(tile, pixel, label, packing)
        return True
    slot = _add_to_group(group, number, packing)
    for word in range(masks.shape[0]):
        for kind in range(number - 1):
            packing.masks[packing.open_row[group] + kind, word * WORD_BITS + slot] = masks[word, kind]
    return True


@compiled
def _add_column(tile, pixel, label, packing):  # pragma: no cover - compiled
    """Keep the candidates' class ids at a pixel that no group takes."""
    used = packing.used[0]
    for candidate in range(packing.votes.shape[1]):
        packing.votes[used.columns, candidate] = tile[candidate, pixel]
    packing.target[used.columns] = label
    used.columns += 1


@compiled
def _find_group(key, packing):  # pragma: no cover - compiled
    """Return the number of the group with this key, a new one if need be; -1 where there are too many."""
    slot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - HASH_BITS))
    while packing.keys[slot] != key:
        if packing.keys[slot] == EMPTY:
            if packing.used[0].groups == packing.most_groups:
                return EMPTY
            packing.keys[slot] = key
            packing.used[0].groups += 1
        else:
            slot = (slot + 1) & ((1 << HASH_BITS) - 1)
    return slot


@compiled
def _add_to_group(group, number, packing):  # pragma: no cover - compiled
    """Give a group of `number` classes one more pixel; return its index in the group's last block."""
    slot = packing.pixels[group] % WORD_BITS
    if slot == 0:
        used = packing.used[0]
        packing.open_row[group] = used.rows
        packing.group_of_block[used.blocks] = group
        used.blocks += 1
        used.rows += number - 1
    packing.pixels[group] += 1
    return slot
