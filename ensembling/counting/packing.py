"""Kernels that turn candidates' class maps into the table's masks; see table.py for what they leave behind.

Disputed pixels are found by comparing every candidate with the first, byte by byte, which the compiler turns into
vector instructions. Where eight neighbours hold one, all candidates' eight bytes go to a dense tile: masks are made
there, since reading single pixels across the rows of large maps would thrash the cache.
"""

import numpy as np
from numba import carray

from ensembling.counting.comparing import BLOCK_PIXELS, compare
from ensembling.counting.grouping import emit
from ensembling.counting.words import NONE, WORD_BITS, bytes_at, words_at
from ensembling.kernels import compiled

GRANULE = 8
SPREAD = np.uint64(0x0101010101010101)
BYTE = np.uint64(255)


@compiled
def pack_pixels(addresses, target, ids, tally, labelled, room):  # pragma: no cover - compiled
    """Pack `target` uint8 (pixels,) with the candidates' pixels that begin at `addresses` uint64 (candidates,).

    Pixels on which all agree are counted in `tally` int64 (places, places) by vote and label, targets of the others in
    `labelled` int64 (places,). Returns False as soon as an id is refused.
    """
    diff = np.empty(BLOCK_PIXELS, np.uint8)
    # Rows after the last candidate's, to make the number a multiple of 8, repeat the first's. A row length that is no
    # power of two keeps the rows of one column out of the same cache set.
    tile = np.empty(((addresses.size + 7) // 8 * 8, BLOCK_PIXELS + 64), np.uint8)
    who = np.empty((2, (tile.shape[0] + 63) // WORD_BITS, BLOCK_PIXELS), np.uint64)
    changes = np.empty((3, BLOCK_PIXELS), np.uint8)
    dense = np.empty(BLOCK_PIXELS, np.uint8)
    granules = np.empty(BLOCK_PIXELS // GRANULE, np.int64)
    for start in range(0, target.size, BLOCK_PIXELS):
        labels = target[start : start + BLOCK_PIXELS]
        _find_differences(addresses, start, labels.size, diff)
        first = carray(bytes_at(addresses[0] + np.uint64(start)), (labels.size,))
        disputed = _tally_agreed(first, labels, diff, ids, tally, granules)
        for candidate in range(tile.shape[0]):
            row = addresses[candidate if candidate < addresses.size else 0]
            _gather(row + np.uint64(start), labels.size, granules[:disputed], tile[candidate])
        _gather(np.uint64(labels.ctypes.data), labels.size, granules[:disputed], dense)
        compare(tile, disputed * GRANULE, changes, who)
        if not emit(tile, changes, who, disputed * GRANULE, dense, ids, labelled, room):
            return False
    last = tally.shape[0] - 1
    return tally[last].sum() == 0 and tally[:, last].sum() == 0


@compiled
def _find_differences(addresses, start, size, diff):  # pragma: no cover - compiled
    """Leave in `diff` the bits in which any candidate's ids differ from the first candidate's."""
    diff[:] = 0
    first = carray(bytes_at(addresses[0] + np.uint64(start)), (size,))
    candidate = 1
    while candidate + 4 <= addresses.size:
        row_0 = carray(bytes_at(addresses[candidate] + np.uint64(start)), (size,))
        row_1 = carray(bytes_at(addresses[candidate + 1] + np.uint64(start)), (size,))
        row_2 = carray(bytes_at(addresses[candidate + 2] + np.uint64(start)), (size,))
        row_3 = carray(bytes_at(addresses[candidate + 3] + np.uint64(start)), (size,))
        for pixel in range(size):
            same = first[pixel]
            diff[pixel] |= (row_0[pixel] ^ same) | (row_1[pixel] ^ same) | (row_2[pixel] ^ same) | (row_3[pixel] ^ same)
        candidate += 4
    for rest in range(candidate, addresses.size):
        row = carray(bytes_at(addresses[rest] + np.uint64(start)), (size,))
        for pixel in range(size):
            diff[pixel] |= row[pixel] ^ first[pixel]


@compiled
def _tally_agreed(first, labels, diff, ids, tally, granules):  # pragma: no cover - compiled
    """Count the pixels on which all agree; leave in `granules` those that hold any other, return their number."""
    disputed = 0
    full = labels.size // GRANULE
    votes, targets, diffs = _as_words(first, full), _as_words(labels, full), _as_words(diff, full)
    of_vote, of_label = ids
    last_votes, last_targets, alike = NONE, NONE, 0  # granules in a row that are one class under one label
    for granule in range(-(-labels.size // GRANULE)):
        if granule < full and diffs[granule] == NONE:
            vote, label = votes[granule] & BYTE, targets[granule] & BYTE
            if votes[granule] == vote * SPREAD and targets[granule] == label * SPREAD:
                if votes[granule] != last_votes or targets[granule] != last_targets:
                    tally[of_vote[last_votes & BYTE], of_label[last_targets & BYTE]] += alike * GRANULE
                    last_votes, last_targets, alike = votes[granule], targets[granule], 0
                alike += 1
                continue
        is_disputed = False
        for pixel in range(granule * GRANULE, min((granule + 1) * GRANULE, labels.size)):
            if diff[pixel] == 0:
                tally[of_vote[first[pixel]], of_label[labels[pixel]]] += 1
            else:
                is_disputed = True
        if is_disputed:
            granules[disputed] = granule
            disputed += 1
    tally[of_vote[last_votes & BYTE], of_label[last_targets & BYTE]] += alike * GRANULE
    return disputed


@compiled
def _as_words(row, words):  # pragma: no cover - compiled
    return carray(words_at(np.uint64(row.ctypes.data)), (words,))


@compiled
def _gather(address, size, granules, dense):  # pragma: no cover - compiled
    """Move the granules' pixels of the row at `address` side by side to the front of `dense`."""
    full, count = size // GRANULE, granules.size
    if count and granules[count - 1] == full:  # the last one, cut off by the end of the row
        count -= 1
        row = carray(bytes_at(address), (size,))
        dense[count * GRANULE : (count + 1) * GRANULE] = 0
        for pixel in range(full * GRANULE, size):
            dense[(count - full) * GRANULE + pixel] = row[pixel]
    words, moved = carray(words_at(address), (full,)), _as_words(dense, count)
    for place in range(count):
        moved[place] = words[granules[place]]
