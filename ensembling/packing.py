"""Kernels that turn candidates' class maps into the table's masks; see table.py for what they leave behind.

Disputed pixels are found by comparing every candidate with the first, byte by byte, which the compiler turns into
vector instructions. Where eight neighbours hold one, all candidates' eight bytes go to a dense tile: masks are made
there, since reading single pixels across the rows of large maps would thrash the cache.
"""

from typing import NamedTuple

import numpy as np
from numba import carray

from ensembling.compiled import bytes_at, compiled, lowest_bit, words_at

BLOCK_PIXELS = 4096
GRANULE = 8
ABSTAIN = np.uint8(255)
WORD_BITS = 64
ONE = np.uint64(1)
NONE = np.uint64(0)
MOST_CLASSES = 6  # of a group: hit and classes fit its key
HASH_BITS = 15
MOST_GROUPS = 1 << (HASH_BITS - 1)
SPREAD = np.uint64(0x0101010101010101)
BYTE = np.uint64(255)


class Ids(NamedTuple):
    """What each byte means, as places 0 to num_classes + 1: a class, then none (abstained, ignored), then refused."""

    of_vote: np.ndarray  # uint16 (256,)
    of_label: np.ndarray  # uint16 (256,)


class Room(NamedTuple):
    """Where packed pixels go, with room for the worst case."""

    groups: np.ndarray  # int32 (pixels,): the group of each pixel that has one
    voters: np.ndarray  # uint64 (entries, words): who votes for each class of its group but the last
    known: np.ndarray  # int64 (HASH_SIZE, 2): keys of groups and their numbers, -1 where there is none
    keys: np.ndarray  # int64 (MOST_GROUPS,): the groups' keys, see `key_of`
    labels: np.ndarray  # uint8 (pixels,): the target of each other pixel
    kinds: np.ndarray  # uint8 (pixels,): how many classes, abstention counted as one
    classes: np.ndarray  # uint8 (entries,): which ones
    others: np.ndarray  # uint64 (entries, words): who votes for each but the last
    used: np.ndarray  # int64 (6,): pixels with a group, their entries, groups; other pixels, their classes, entries


@compiled
def pack_pixels(addresses, target, ids, tally, labelled, room):  # pragma: no cover - compiled
    """Pack `target` uint8 (pixels,) with the candidates' pixels that begin at `addresses` uint64 (candidates,).

    Pixels on which all agree are counted in `tally` int64 (places, places) by vote and label, targets of the others in
    `labelled` int64 (places,). Returns False as soon as an id is refused.
    """
    diff = np.empty(BLOCK_PIXELS, np.uint8)
    # A row length that is no power of two keeps the rows of one column out of the same cache set.
    tile = np.empty((addresses.size, BLOCK_PIXELS + 64), np.uint8)
    bits = np.empty(((addresses.size + 7) // 8, BLOCK_PIXELS + 64), np.uint8)
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
    groups, voters, known, keys, labels, kinds, classes, others, used = room
    num_classes = labelled.size - 2
    masks, found = np.empty((256, voters.shape[1]), np.uint64), np.empty(256, np.uint8)
    last_key, last_group = np.int64(-1), np.int64(-1)
    for place in range(granules.size):
        offset = granules[place] * GRANULE
        for lane in range(min(GRANULE, target.size - offset)):
            pixel = place * GRANULE + lane
            if diff[pixel] == 0:
                continue
            label = target[offset + lane]
            labelled[of_label[label]] += 1
            first, second = tile[0, pixel], tile[0, pixel] ^ diff[pixel]
            lower, higher = min(first, second), max(first, second)
            is_pair = not several[pixel] and higher != ABSTAIN
            if is_pair:
                if of_vote[higher] >= num_classes:
                    return False
                hit = 0 if label == lower else 1 if label == higher else 2
                key = ((256 | np.int64(lower)) << 8 | np.int64(higher)) << 3 | hit
            else:
                number = _split(tile, bits, pixel, masks, found)
                if of_vote[found[number - 1]] > num_classes or of_vote[found[number - 2]] > num_classes:
                    return False
                small = number <= MOST_CLASSES and found[number - 1] != ABSTAIN
                key = _key_of(found, number, label) if small else np.int64(-1)
            if of_label[label] >= num_classes:
                continue
            # Neighbours are mostly alike.
            if key != last_key:
                last_key = key
                last_group = _number_of(key, known, keys, used) if key >= 0 else np.int64(-1)
            if is_pair and last_group >= 0:
                groups[used[0]] = last_group
                used[0] += 1
                flip = ~NONE if first == lower else NONE
                for word in range(voters.shape[1]):
                    voters[used[1], word] = _differing(bits, pixel, word) ^ flip
                used[1] += 1
                continue
            if is_pair:
                number = _split(tile, bits, pixel, masks, found)
            if last_group >= 0:
                groups[used[0]] = last_group
                used[0] += 1
                _copy(masks, number - 1, voters, used[1])
                used[1] += number - 1
                continue
            labels[used[3]], kinds[used[3]] = label, number
            classes[used[4] : used[4] + number] = found[:number]
            _copy(masks, number - 1, others, used[5])
            used[3] += 1
            used[4] += number
            used[5] += number - 1
    return labelled[num_classes + 1] == 0


@compiled
def _copy(masks, number, rows, start):  # pragma: no cover - compiled
    for kind in range(number):
        for word in range(masks.shape[1]):
            rows[start + kind, word] = masks[kind, word]


@compiled
def _split(tile, bits, pixel, masks, found):  # pragma: no cover - compiled
    """Leave a pixel's classes, ascending, in `found` and who votes for each in `masks`; returns how many they are.

    Masks may have bits above the last candidate's.
    """
    words = masks.shape[1]
    number = 1
    found[0] = tile[0, pixel]
    for word in range(words):
        masks[0, word] = ~_differing(bits, pixel, word)
    for start in range(words):
        rest = ~masks[0, start]
        for kind in range(1, number):
            rest &= ~masks[kind, start]
        while rest != NONE:
            found[number] = tile[start * WORD_BITS + lowest_bit(rest), pixel]
            for word in range(start):
                masks[number, word] = NONE
            masks[number, start] = _voters(tile, pixel, start, found[number], rest)
            for word in range(start + 1, words):
                masks[number, word] = _voters(tile, pixel, word, found[number], ~masks[0, word])
            rest &= ~masks[number, start]
            number += 1
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
def _differing(bits, pixel, word):  # pragma: no cover - compiled
    """Those of a word's 64 candidates who differ from the first candidate."""
    mask = NONE
    for eight in range(word * 8, min(word * 8 + 8, bits.shape[0])):
        mask |= np.uint64(bits[eight, pixel]) << np.uint64(8 * (eight - word * 8))
    return mask


@compiled
def _voters(tile, pixel, word, vote, among):  # pragma: no cover - compiled
    mask = NONE
    while among != NONE:
        bit = lowest_bit(among)
        among &= among - ONE
        mask |= np.uint64(tile[word * WORD_BITS + bit, pixel] == vote) << np.uint64(bit)
    return mask


@compiled
def _key_of(found, number, label):  # pragma: no cover - compiled
    """A group's key: its classes, a byte each after a leading 1, then 3 bits: which of them is the target, or none."""
    key, hit = np.int64(1), number
    for kind in range(number):
        key = key << 8 | np.int64(found[kind])
        if found[kind] == label:
            hit = kind
    return key << 3 | hit


@compiled
def _number_of(key, known, keys, used):  # pragma: no cover - compiled
    """The number of the group with this key, a new one if need be; -1 where there are too many."""
    place = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - HASH_BITS))
    while known[place, 0] != key:
        if known[place, 0] < 0:
            if used[2] == keys.size:
                return np.int64(-1)
            known[place, 0], known[place, 1] = key, used[2]
            keys[used[2]] = key
            used[2] += 1
        else:
            place = (place + 1) & ((1 << HASH_BITS) - 1)
    return known[place, 1]
