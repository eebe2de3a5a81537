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
UNKNOWN = -2
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
    group_of_pair: np.ndarray  # int32 (classes^2 * 3,): the numbers of groups of two classes, UNKNOWN at first
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
        _compare(tile, disputed * GRANULE, changes, who)
        if not _emit(tile, changes, who, disputed * GRANULE, dense, ids, labelled, room):
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


@compiled
def _compare(tile, pixels, changes, who):  # pragma: no cover - compiled
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
def _emit(tile, changes, who, pixels, target, ids, labelled, room):  # pragma: no cover - compiled
    """Write the disputed ones of the tile's pixels, of these targets, to `room`; False where an id is refused."""
    pairs, triples, others = np.empty((3, BLOCK_PIXELS), np.int32)
    few, more, rest = _sort_out(tile, changes, pixels, pairs, triples, others)
    rest = _emit_pairs(tile, changes, who, pairs[:few], target, ids, labelled, room, others, rest)
    if rest >= 0:
        rest = _emit_triples(tile, changes, who, triples[:more], target, ids, labelled, room, others, rest)
    if rest < 0 or not _emit_others(tile, changes, who, others[:rest], target, ids, labelled, room):
        return False
    return labelled[labelled.size - 1] == 0


@compiled
def _sort_out(tile, changes, pixels, pairs, triples, others):  # pragma: no cover - compiled
    """List the pixels of two classes, of three, and other disputed ones; how many of each. Without hard branches."""
    few, more, rest = 0, 0, 0
    for pixel in range(pixels):
        first, second, third = tile[0, pixel], changes[0, pixel], changes[1, pixel]
        disputed = np.int64(second != 0)
        plain = disputed & np.int64(first != ABSTAIN) & np.int64(first ^ second != ABSTAIN)
        is_pair = plain & np.int64(third == 0)
        is_triple = plain & np.int64(third != 0) & np.int64(first ^ third != ABSTAIN) & np.int64(changes[2, pixel] == 0)
        pairs[few] = triples[more] = others[rest] = pixel
        few += is_pair
        more += is_triple
        rest += disputed & ~is_pair & ~is_triple
    return few, more, rest


@compiled
def _emit_pairs(tile, changes, who, pixels, target, ids, labelled, room, others, rest):  # pragma: no cover - compiled
    """Write pixels of two classes, or append to `others` where no group is left; the end of those, -1 if refused."""
    # Taken out of the tuples once: each access counts a reference, which would cost more than the pixel.
    of_vote, of_label = ids
    groups, voters, known, keys, group_of_pair, _, _, _, _, used = room
    num_classes = labelled.size - 2
    place, entry = used[0], used[1]
    for pixel in pixels:
        label = target[pixel]
        first = tile[0, pixel]
        second = first ^ changes[0, pixel]
        lower, higher = np.int64(min(first, second)), np.int64(max(first, second))
        if of_vote[higher] >= num_classes:
            return -1
        hit = 2 - 2 * np.int64(label == lower) - np.int64(label == higher)
        pair = (lower * num_classes + higher) * 3 + hit
        if group_of_pair[pair] == UNKNOWN:
            group_of_pair[pair] = _number_of(((256 | lower) << 8 | higher) << 3 | hit, known, keys, used)
        if group_of_pair[pair] < 0:
            others[rest] = pixel
            rest += 1
            continue
        labelled[of_label[label]] += 1
        groups[place] = group_of_pair[pair]
        flip = ~NONE if first == lower else NONE
        for word in range(voters.shape[1]):
            voters[entry, word] = who[0, word, pixel] ^ flip
        # What does not count is written over by the next.
        counts = of_label[label] < num_classes
        place += counts
        entry += counts
    used[0], used[1] = place, entry
    return rest


@compiled
def _emit_triples(tile, changes, who, pixels, target, ids, labelled, room, others, rest):  # pragma: no cover - compiled
    """As `_emit_pairs`, with three classes."""
    of_vote, of_label = ids
    groups, voters, known, keys, _, _, _, _, _, used = room
    num_classes, last_key, group = labelled.size - 2, np.int64(-1), np.int64(-1)
    place, entry = used[0], used[1]
    for pixel in pixels:
        label = target[pixel]
        first = np.int64(tile[0, pixel])
        second, third = first ^ changes[0, pixel], first ^ changes[1, pixel]
        lowest, highest = min(first, second, third), max(first, second, third)
        middle = first ^ second ^ third ^ lowest ^ highest
        if of_vote[highest] >= num_classes or of_vote[middle] >= num_classes:
            return -1
        hit = 3 - 3 * np.int64(label == lowest) - 2 * np.int64(label == middle) - np.int64(label == highest)
        key = (((256 | lowest) << 8 | middle) << 8 | highest) << 3 | hit
        if key != last_key:
            last_key, group = key, np.int64(_number_of(key, known, keys, used))
        if group < 0:
            others[rest] = pixel
            rest += 1
            continue
        labelled[of_label[label]] += 1
        groups[place] = group
        for word in range(voters.shape[1]):
            change, by_second = who[0, word, pixel], who[1, word, pixel]
            by_third = change & ~by_second
            voters[entry, word] = ~change if lowest == first else by_second if lowest == second else by_third
            voters[entry + 1, word] = ~change if middle == first else by_second if middle == second else by_third
        counts = of_label[label] < num_classes
        place += counts
        entry += 2 * counts
    used[0], used[1] = place, entry
    return rest


@compiled
def _emit_others(tile, changes, who, pixels, target, ids, labelled, room):  # pragma: no cover - compiled
    of_vote, of_label = ids
    groups, voters, known, keys, _, labels, kinds, classes, others, used = room
    masks, found = np.empty((256, voters.shape[1]), np.uint64), np.empty(256, np.uint8)
    num_classes = labelled.size - 2
    for pixel in pixels:
        label = target[pixel]
        labelled[of_label[label]] += 1
        number = _split(tile, changes, who, pixel, masks, found)
        if of_vote[found[number - 1]] > num_classes or of_vote[found[number - 2]] > num_classes:
            return False
        if of_label[label] >= num_classes:
            continue
        group = np.int64(-1)
        if number <= MOST_CLASSES and found[number - 1] != ABSTAIN:
            group = _number_of(_key_of(found, number, label), known, keys, used)
        if group >= 0:
            groups[used[0]] = group
            _copy(masks, number - 1, voters, used[1])
            used[0] += 1
            used[1] += number - 1
        else:
            labels[used[3]], kinds[used[3]] = label, number
            for kind in range(number):
                classes[used[4] + kind] = found[kind]
            _copy(masks, number - 1, others, used[5])
            used[3] += 1
            used[4] += number
            used[5] += number - 1
    return True


@compiled
def _copy(masks, number, rows, start):  # pragma: no cover - compiled
    for kind in range(number):
        for word in range(masks.shape[1]):
            rows[start + kind, word] = masks[kind, word]


@compiled
def _split(tile, changes, who, pixel, masks, found):  # pragma: no cover - compiled
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
