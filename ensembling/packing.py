"""Kernels that turn candidates' class maps into the table's masks; see table.py for what they leave behind.

Disputed pixels are found by comparing every candidate with the first, byte by byte, which the compiler turns into
vector instructions. Where eight neighbours hold one, all candidates' eight bytes go to a dense tile: masks are made
there, since reading single pixels across the rows of large maps would thrash the cache.
"""

from typing import NamedTuple

import numpy as np
from numba import carray

from ensembling.compiled import bytes_at, compiled, words_at

BLOCK_PIXELS = 4096
GRANULE = 8
ABSTAIN = np.uint8(255)
WORD_BITS = 64
ONE = np.uint64(1)
NONE = np.uint64(0)
SPREAD = np.uint64(0x0101010101010101)
BYTE = np.uint64(255)


class Ids(NamedTuple):
    """What each byte means, as places 0 to num_classes + 1: a class, then none (abstained, ignored), then refused."""

    of_vote: np.ndarray  # uint16 (256,)
    of_label: np.ndarray  # uint16 (256,)


class Room(NamedTuple):
    """Where packed pixels go, room for the worst case; `used` counts the pairs, several and entries so far."""

    keys: np.ndarray  # int32 (pixels,), of pairs: (lower class * num_classes + higher class) * 3 + kind
    masks: np.ndarray  # uint64 (words, pixels), of pairs: who votes for the higher class
    labels: np.ndarray  # uint8 (pixels,), of several: the target
    kinds: np.ndarray  # uint8 (pixels,), of several: how many classes, abstention counted as one
    classes: np.ndarray  # uint8 (entries,), of several: which ones
    voters: np.ndarray  # uint64 (entries, words), of several: who votes for them; no mask for a pixel's last
    used: np.ndarray  # int64 (4,): pairs, several, classes, voters


@compiled
def pack_pixels(addresses, target, ids, tally, labelled, room):  # pragma: no cover - compiled
    """Pack `target` uint8 (pixels,) with the candidates' pixels that begin at `addresses` uint64 (candidates,).

    Pixels on which all agree are counted in `tally` int64 (places, places) by vote and label, targets of the others in
    `labelled` int64 (places,). Returns False as soon as an id is refused.
    """
    diff = np.empty(BLOCK_PIXELS, np.uint8)
    tile = np.empty((addresses.size, BLOCK_PIXELS), np.uint8)
    bits = np.empty(((addresses.size + 7) // 8, BLOCK_PIXELS), np.uint8)
    several = np.empty(BLOCK_PIXELS, np.uint8)
    granules = np.empty(BLOCK_PIXELS // GRANULE, np.int64)
    for start in range(0, target.size, BLOCK_PIXELS):
        labels = target[start : start + BLOCK_PIXELS]
        _find_differences(addresses, start, labels.size, diff)
        first = carray(bytes_at(addresses[0] + np.uint64(start)), (labels.size,))
        disputed = _tally_agreed(first, labels, diff, ids, tally, granules)
        _gather(addresses, start, labels.size, granules[:disputed], diff, tile)
        _compare(tile, diff, disputed * GRANULE, bits, several)
        if not _emit(tile, bits, several, diff, granules[:disputed], labels, ids, labelled, room):
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
    for granule in range(-(-labels.size // GRANULE)):
        if granule < full and diffs[granule] == NONE:
            vote, label = votes[granule] & BYTE, targets[granule] & BYTE
            if votes[granule] == vote * SPREAD and targets[granule] == label * SPREAD:
                tally[ids.of_vote[vote], ids.of_label[label]] += GRANULE
                continue
        is_disputed = False
        for pixel in range(granule * GRANULE, min((granule + 1) * GRANULE, labels.size)):
            if diff[pixel] == 0:
                tally[ids.of_vote[first[pixel]], ids.of_label[labels[pixel]]] += 1
            else:
                is_disputed = True
        if is_disputed:
            granules[disputed] = granule
            disputed += 1
    return disputed


@compiled
def _as_words(row, words):  # pragma: no cover - compiled
    return carray(words_at(np.uint64(row.ctypes.data)), (words,))


@compiled
def _gather(addresses, start, size, granules, diff, tile):  # pragma: no cover - compiled
    """Move the granules' pixels side by side to the front of `tile` and `diff`."""
    full = size // GRANULE
    for candidate in range(addresses.size):
        begin = addresses[candidate] + np.uint64(start)
        words, dense = carray(words_at(begin), (full,)), _as_words(tile[candidate], tile.shape[1] // GRANULE)
        for place in range(granules.size):
            if granules[place] < full:
                dense[place] = words[granules[place]]
            else:
                row = carray(bytes_at(begin), (size,))
                dense[place] = NONE
                for pixel in range(full * GRANULE, size):
                    tile[candidate, place * GRANULE + pixel - full * GRANULE] = row[pixel]
    for place in range(granules.size):
        for lane in range(GRANULE):
            diff[place * GRANULE + lane] = diff[granules[place] * GRANULE + lane]


@compiled
def _compare(tile, diff, pixels, bits, several):  # pragma: no cover - compiled
    """Leave in `bits` (candidates / 8, pixels) who differs from the first, in `several` where not all to one class."""
    several[:pixels] = 0
    for eight in range(tile.shape[0] // 8):
        for pixel in range(pixels):
            first, other = tile[0, pixel], diff[pixel]
            who, third = np.uint8(0), np.uint8(0)
            for bit in range(8):
                change = tile[eight * 8 + bit, pixel] ^ first
                who |= np.uint8(change != 0) << np.uint8(bit)
                third |= np.uint8((change != 0) & (change != other))
            bits[eight, pixel] = who
            several[pixel] |= third
    for eight in range(tile.shape[0] // 8, bits.shape[0]):
        bits[eight, :pixels] = 0
        for candidate in range(eight * 8, tile.shape[0]):
            for pixel in range(pixels):
                change = tile[candidate, pixel] ^ tile[0, pixel]
                bits[eight, pixel] |= np.uint8(change != 0) << np.uint8(candidate % 8)
                several[pixel] |= np.uint8((change != 0) & (change != diff[pixel]))


@compiled
def _emit(tile, bits, several, diff, granules, target, ids, labelled, room):  # pragma: no cover - compiled
    """Write the disputed pixels to `room`; False where an id is refused."""
    # Taken out of the tuples once: each access counts a reference, which would cost more than the pixel.
    of_vote, of_label = ids
    keys, masks, labels, kinds, classes, voters, used = room
    num_classes = labelled.size - 2
    slots = np.full(256, -1, np.int64)
    for place in range(granules.size):
        offset = granules[place] * GRANULE
        for lane in range(min(GRANULE, target.size - offset)):
            pixel = place * GRANULE + lane
            if diff[pixel] == 0:
                continue
            label = target[offset + lane]
            counts = of_label[label] < num_classes
            labelled[of_label[label]] += 1
            first, second = tile[0, pixel], tile[0, pixel] ^ diff[pixel]
            if several[pixel] or first == ABSTAIN or second == ABSTAIN:
                number, accepted = _mask_classes(tile, pixel, of_vote, slots, classes, used[2], voters, used[3])
                if not accepted:
                    return False
                labels[used[1]], kinds[used[1]] = label, number
                # What does not count is written over by the next.
                used[1] += counts
                used[2] += counts * number
                used[3] += counts * (number - 1)
                continue
            lower, higher = min(first, second), max(first, second)
            if of_vote[higher] >= num_classes:
                return False
            kind = 0 if label == lower else 1 if label == higher else 2
            keys[used[0]] = (np.int32(lower) * num_classes + higher) * 3 + kind
            flip = NONE if first == lower else ~NONE
            for word in range(masks.shape[0]):
                mask = NONE
                for eight in range(word * 8, min(word * 8 + 8, bits.shape[0])):
                    mask |= np.uint64(bits[eight, pixel]) << np.uint64(8 * (eight - word * 8))
                masks[word, used[0]] = mask ^ flip
            used[0] += counts
    return labelled[num_classes + 1] == 0


@compiled
def _mask_classes(tile, pixel, of_vote, slots, classes, entry, voters, row):  # pragma: no cover - compiled
    """Write a pixel's classes from `entry` on, and who votes for each from `row` on: how many, and whether accepted."""
    number, accepted = 0, True
    for word in range(voters.shape[1]):
        for candidate in range(word * WORD_BITS, min((word + 1) * WORD_BITS, tile.shape[0])):
            vote = tile[candidate, pixel]
            if slots[vote] < 0:
                slots[vote] = number
                classes[entry + number] = vote
                accepted &= of_vote[vote] <= of_vote[ABSTAIN]
                for other in range(voters.shape[1]):
                    voters[row + number, other] = NONE
                number += 1
            voters[row + slots[vote], word] |= ONE << np.uint64(candidate % WORD_BITS)
    for kind in range(number):
        slots[classes[entry + kind]] = -1
    return number, accepted


@compiled
def sort_pairs(keys, masks, runs, num_keys):  # pragma: no cover - compiled
    """Pairs in order of their key, then as they came: (masks uint64 (words, pairs), spans int64 (spans, 4)).

    `runs` int64 (runs, 2) are the pairs' first places and folds. A span is start, stop, key, fold of neighbours alike.
    """
    next_place, last_run = np.zeros(num_keys + 1, np.int64), np.full(num_keys, -1, np.int64)
    for key in keys:
        next_place[key + 1] += 1
    next_place = np.cumsum(next_place)
    ordered = np.empty(masks.shape, np.uint64)
    spans = np.empty((keys.size, 4), np.int64)
    count = 0
    for run in range(runs.shape[0]):
        stop = runs[run + 1, 0] if run + 1 < runs.shape[0] else keys.size
        for pair in range(runs[run, 0], stop):
            key = keys[pair]
            place = next_place[key]
            next_place[key] += 1
            for word in range(masks.shape[0]):
                ordered[word, place] = masks[word, pair]
            if last_run[key] != run:
                last_run[key] = run
                spans[count, 0], spans[count, 2], spans[count, 3] = place, key, runs[run, 1]
                count += 1
    spans = spans[:count][np.argsort(spans[:count, 0])]
    for span in range(count):
        spans[span, 1] = spans[span + 1, 0] if span + 1 < count else keys.size
    return ordered, spans
