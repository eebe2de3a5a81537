"""Kernels that count votes pixel by pixel: on those few in no block, since their classes are rare or somebody abstains.

Votes for a class are the population count of mask & members, and which further candidates would change a pixel's winner
is a mask again. How often each does so is summed for 64 of them at once in vertical counters: bit i of the words of
`planes`, from the lowest level up, is the count of candidate i.
"""

import numpy as np

from ensembling.counting.words import ABSTAIN, NONE, ONE, WORD_BITS, lowest_bit, population
from ensembling.kernels import compiled

LEVELS = 32
NEVER = np.int64(1 << 31)


@compiled
def count_singly(labels, kinds, classes, voters, runs, weights, allowed, valid, counts, gains):  # pragma: no cover
    """Add the members' vote to `counts` int64 (2, classes), what one more vote changes to `gains` (2, classes, n).

    `runs` int64 (runs, 4) has first pixel, end and first entry. A pixel has an entry for each class, and a mask for
    each but the last. Row i of `weights` uint64 (bits, words) holds bit i of each candidate's number of votes; some
    have any. `allowed` (words,) may get one more, and `valid` (words,) holds all candidates.
    """
    words, num_classes = voters.shape[1], counts.shape[1]
    votes, firsts = np.empty(256, np.int64), np.empty(256, np.int64)
    masks = np.empty((256, words), np.uint64)
    slot_of = np.full((num_classes, num_classes, 3), -1, np.int32)
    planes, keys, slots = np.zeros((64, words, LEVELS), np.uint64), np.empty((64, 3), np.int64), 0
    for run in range(runs.shape[0]):
        entry, row = runs[run, 2], runs[run, 2] - runs[run, 0]
        for pixel in range(runs[run, 0], runs[run, 1]):
            number, label = np.int64(kinds[pixel]), labels[pixel]
            complete(voters, row, number, valid, masks)
            best = _find_winner(classes, entry, number, masks, weights, votes, firsts)
            winner = classes[entry + best] if best >= 0 else np.uint8(0)
            counts[1, winner] += 1
            counts[0, winner] += winner == label
            for kind in range(number if gains.shape[2] else 0):
                rival = classes[entry + kind]
                reach = _reach(votes[kind], firsts[kind], best, votes[best], firsts[best])
                if reach == 0 or rival == ABSTAIN or rival == winner:  # noqa: SIM109 - a tuple would be slower
                    continue
                hit = 0 if winner == label else 1 if rival == label else 2
                slot = slot_of[winner, rival, hit]
                if slot < 0:
                    if slots == keys.shape[0]:
                        planes, keys = _twice(planes), _twice(keys)
                    slot_of[winner, rival, hit] = slot = slots
                    keys[slot, 0], keys[slot, 1], keys[slot, 2] = winner, rival, hit
                    slots += 1
                for word in range(words):
                    flips = masks[kind, word] & allowed[word] & _below(reach - word * WORD_BITS)
                    level = 0
                    while flips != NONE:
                        rest = planes[slot, word, level] & flips
                        planes[slot, word, level] ^= flips
                        flips = rest
                        level += 1
            entry += number
            row += number - 1
    for slot in range(slots):
        winner, rival, hit = keys[slot]
        _add_flips(planes[slot], winner, rival, hit == 0, hit == 1, gains)


@compiled
def _twice(rows):  # pragma: no cover - compiled
    longer = np.zeros((2 * rows.shape[0], *rows.shape[1:]), rows.dtype)
    longer[: rows.shape[0]] = rows
    return longer


@compiled
def complete(voters, row, number, valid, masks):  # pragma: no cover - compiled
    """Copy a pixel's masks, which begin at `row`, and add that of the last of its `number` classes."""
    for word in range(valid.size):
        rest = valid[word]
        for kind in range(number - 1):
            masks[kind, word] = voters[row + kind, word]
            rest &= ~voters[row + kind, word]
        masks[number - 1, word] = rest


@compiled
def _find_winner(classes, entry, number, masks, weights, votes, firsts):  # pragma: no cover - compiled
    """Place of the class that wins, -1 without votes; leaves each class's votes and first voter's rank behind."""
    best, most = np.int64(-1), np.int64(0)
    for kind in range(number):
        count, first = np.int64(0), NEVER
        for word in range(weights.shape[1]):
            members = NONE
            for bit in range(weights.shape[0]):
                voters = masks[kind, word] & weights[bit, word]
                members |= voters
                count += population(voters) << bit
            if members != NONE and first == NEVER:
                first = word * WORD_BITS + lowest_bit(members)
        count = count if classes[entry + kind] != ABSTAIN else np.int64(0)
        votes[kind], firsts[kind] = count, first
        # Most votes first, then the better first voter: one comparison, since branches on votes are hard to predict.
        worth = (count << 32) - first if count > 0 else np.int64(0)
        best, most = (kind, worth) if worth > most else (best, most)
    return best


@compiled
def _reach(votes, first, best, most, first_of_best):  # pragma: no cover - compiled
    """One more vote from a candidate whose rank is below this makes a class win over class `best`, which has `most`."""
    if best < 0 or votes == most:
        return NEVER
    if votes + 1 == most:
        return NEVER if first < first_of_best else first_of_best
    return np.int64(0)


@compiled
def _below(rank):  # pragma: no cover - compiled
    """The bits of a word below `rank`, which may be out of it on either side."""
    if rank <= 0:
        return NONE
    return ~NONE if rank >= WORD_BITS else (ONE << np.uint64(rank)) - ONE


@compiled
def _take_count(planes, candidate):  # pragma: no cover - compiled
    count = 0
    word, bit = candidate // WORD_BITS, np.uint64(candidate % WORD_BITS)
    for level in range(LEVELS):
        count |= np.int64((planes[word, level] >> bit) & ONE) << level
    return count


@compiled
def _add_flips(planes, loser, winner, was_hit, is_hit, gains):  # pragma: no cover - compiled
    """Turn as many pixels from `loser` to `winner` as `planes` count for each candidate; empties them."""
    for candidate in range(gains.shape[2]):
        pixels = _take_count(planes, candidate)
        gains[1, loser, candidate] -= pixels
        gains[1, winner, candidate] += pixels
        if was_hit:
            gains[0, loser, candidate] -= pixels
        if is_hit:
            gains[0, winner, candidate] += pixels
    planes[:] = NONE


@compiled
def own_singly(labels, kinds, classes, voters, runs, valid, gains):  # pragma: no cover - compiled
    """Add each candidate's own hits and predicted pixels to `gains` int64 (2, classes, candidates)."""
    words = valid.size
    planes = np.zeros((gains.shape[1], 2, words, LEVELS), np.uint64)
    masks = np.empty((256, words), np.uint64)
    for run in range(runs.shape[0]):
        entry, row = runs[run, 2], runs[run, 2] - runs[run, 0]
        for pixel in range(runs[run, 0], runs[run, 1]):
            number = np.int64(kinds[pixel])
            complete(voters, row, number, valid, masks)
            for kind in range(number):
                vote = classes[entry + kind]
                winner = vote if vote != ABSTAIN else np.uint8(0)
                hit = np.int64(winner == labels[pixel])
                for word in range(words):
                    mask, level = masks[kind, word], 0
                    while mask != NONE:
                        rest = planes[winner, hit, word, level] & mask
                        planes[winner, hit, word, level] ^= mask
                        mask = rest
                        level += 1
            entry += number
            row += number - 1
    for candidate in range(gains.shape[2]):
        for winner in range(gains.shape[1]):
            hits = _take_count(planes[winner, 1], candidate)
            gains[0, winner, candidate] += hits
            gains[1, winner, candidate] += hits + _take_count(planes[winner, 0], candidate)
