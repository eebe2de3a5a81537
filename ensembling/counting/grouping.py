"""Kernels that sort disputed pixels into groups of the same classes and target, with who votes for each class."""

from typing import NamedTuple

import numpy as np

from ensembling.counting.comparing import BLOCK_PIXELS, split
from ensembling.counting.words import ABSTAIN, NONE, WORD_BITS
from ensembling.kernels import compiled

MOST_CLASSES = 6  # of a group: hit and classes fit its key
HASH_BITS = 15
UNKNOWN = -2
MOST_GROUPS = 1 << (HASH_BITS - 1)


class Ids(NamedTuple):
    """What each byte means, as places 0 to num_classes + 1: a class, then none (abstained, ignored), then refused."""

    of_vote: np.ndarray  # uint16 (256,)
    of_label: np.ndarray  # uint16 (256,)


class Room(NamedTuple):
    """Where packed pixels go, with room for the worst case."""

    groups: np.ndarray  # int32 (pixels,): the group of each pixel that has one
    voters: np.ndarray  # uint64 (entries, words): who votes for each class of its group but the last
    known: np.ndarray  # int64 (hash places, 2): keys of groups and their numbers, -1 where there is none
    keys: np.ndarray  # int64 (MOST_GROUPS,): the groups' keys, see `_key_of`
    group_of_pair: np.ndarray  # int32 (classes^2 * 3,): the numbers of groups of two classes, UNKNOWN at first
    labels: np.ndarray  # uint8 (pixels,): the target of each other pixel
    kinds: np.ndarray  # uint16 (pixels,): how many classes, abstention counted as one: up to 256
    classes: np.ndarray  # uint8 (entries,): which ones
    others: np.ndarray  # uint64 (entries, words): who votes for each but the last
    used: np.ndarray  # int64 (6,): pixels with a group, their entries, groups; other pixels, their classes, entries


def make_room(num_candidates: int, num_classes: int, pixels: int) -> Room:
    """Scratch memory for packing that many pixels, to be used again: new memory costs a page fault every 4 kB."""
    words, kinds = -(-num_candidates // WORD_BITS), min(num_candidates, num_classes + 1)
    return Room(
        np.empty(pixels, np.int32),
        np.empty((pixels * min(kinds, MOST_CLASSES), words), np.uint64),
        np.empty((1 << HASH_BITS, 2), np.int64),
        np.empty(MOST_GROUPS, np.int64),
        np.empty(3 * num_classes**2, np.int32),
        np.empty(pixels, np.uint8),
        np.empty(pixels, np.uint16),
        np.empty(pixels * kinds, np.uint8),
        np.empty((pixels * kinds, words), np.uint64),
        np.empty(6, np.int64),
    )


@compiled
def emit(tile, changes, who, pixels, target, ids, labelled, room):  # pragma: no cover - compiled
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
    # A pixel has at most 256 values; `split` also writes who is left after the last of them, which is nobody.
    masks, found = np.empty((256 + 1, voters.shape[1]), np.uint64), np.empty(256, np.uint8)
    num_classes = labelled.size - 2
    for pixel in pixels:
        label = target[pixel]
        labelled[of_label[label]] += 1
        number = split(tile, changes, who, pixel, masks, found)
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
