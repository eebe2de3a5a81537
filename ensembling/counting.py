"""Kernels that count votes on the table's masks; see table.py for what those hold.

Votes for a class are the population count of mask & members. Which further candidates would change a pixel's winner is
a mask again, and how often each does so is summed for 64 of them at once in vertical counters: bit i of the words of
`planes`, from the lowest level up, is the count of candidate i. Masks are added by carry-save addition, eight at a time
(the network of Muła, Kurz and Lemire, "Faster Population Counts Using AVX2 Instructions", 2018, without its last sum).
"""

import numpy as np

from ensembling.compiled import compiled, lowest_bit, population
from ensembling.packing import ABSTAIN, NONE, ONE, WORD_BITS

BLOCK = 1024
LEVELS = 32
NEVER = np.int64(1 << 62)
IDENTITY = 2 * np.arange(BLOCK, dtype=np.int32)


@compiled
def count_pairs(masks, spans, weights, first, allowed, counts, gains):  # pragma: no cover - compiled
    """Add the vote on pairs to `counts` int64 (2, classes), what one more vote changes to `gains` (n, 2, classes).

    `masks` and `spans` are those of `sort_pairs`. Row i of `weights` uint64 (bits, words) holds bit i of each
    candidate's number of votes; some have any, and `first` is the lowest rank of those. `allowed` (words,) may get one
    more.
    """
    words, num_classes = masks.shape[0], counts.shape[1]
    votes, chosen = np.empty(BLOCK, np.int64), np.empty((2, BLOCK), np.int32)
    planes = np.zeros((2, words, LEVELS), np.uint64)
    before = allowed.copy()
    for word in range(words):
        before[word] &= _below(first - word * WORD_BITS)
    total = _total(weights)
    wins, pixels = 0, 0
    for span in range(spans.shape[0]):
        for start in range(spans[span, 0], spans[span, 1], BLOCK):
            size = min(BLOCK, spans[span, 1] - start)
            _count_higher(masks, start, size, weights, votes)
            won, ups, downs = _find_tight(masks, start, size, first, total, votes, chosen)
            wins += won
            if gains.shape[0]:
                for word in range(words):
                    part = masks[word, start : start + size]
                    _add_chosen(part, NONE, allowed[word], before[word], chosen[0, :ups], planes[0, word])
                    _add_chosen(part, ~NONE, allowed[word], before[word], chosen[1, :downs], planes[1, word])
            pixels += size
        key = spans[span, 2]
        if span + 1 == spans.shape[0] or spans[span + 1, 2] != key:
            lower, higher, kind = key // 3 // num_classes, key // 3 % num_classes, key % 3
            _count_winner(counts, higher, kind == 1, wins)
            _count_winner(counts, lower, kind == 0, pixels - wins)
            if gains.shape[0]:
                _add_flips(planes[0], lower, higher, kind == 0, kind == 1, gains)
                _add_flips(planes[1], higher, lower, kind == 1, kind == 0, gains)
            wins, pixels = 0, 0


@compiled
def _below(rank):  # pragma: no cover - compiled
    """The bits of a word below `rank`, which may be out of it on either side."""
    if rank <= 0:
        return NONE
    return ~NONE if rank >= WORD_BITS else (ONE << np.uint64(rank)) - ONE


@compiled
def _total(weights):  # pragma: no cover - compiled
    total = 0
    for bit in range(weights.shape[0]):
        for word in range(weights.shape[1]):
            total += population(weights[bit, word]) << bit
    return total


@compiled
def _count_higher(masks, start, size, weights, votes):  # pragma: no cover - compiled
    """Leave the votes for the higher class of pairs from `start` on in `votes`."""
    for pixel in range(size):
        votes[pixel] = population(masks[0, start + pixel] & weights[0, 0])
    for bit in range(weights.shape[0]):
        for word in range(bit == 0, masks.shape[0]):
            for pixel in range(size):
                votes[pixel] += population(masks[word, start + pixel] & weights[bit, word]) << bit


@compiled
def _find_tight(masks, start, size, first, total, votes, chosen):  # pragma: no cover - compiled
    """Number of pairs won by the higher class, and of those that one vote can turn: to the higher, to the lower class.

    Those go to the two rows of `chosen` as 2 * place, + 1 where only candidates ranked before the first member turn it:
    one vote makes a tie, and of its two voters for the tied classes the better one is the first member.
    """
    wins, ups, downs = 0, 0, 0
    odd, is_best = total & 1, np.int64(first == 0)
    word, bit = first // WORD_BITS, np.uint64(first % WORD_BITS)
    for pixel in range(size):
        lead = 2 * votes[pixel] - total
        first_higher = np.int64((masks[word, start + pixel] >> bit) & ONE)
        higher_wins = np.int64(lead + first_higher > 0)
        late = odd & (first_higher ^ higher_wins ^ 1)
        tight = np.int64(lead * lead <= 1) & ~(late & is_best)
        wins += higher_wins
        chosen[0, ups] = chosen[1, downs] = 2 * pixel + late
        ups += tight & (higher_wins ^ 1)
        downs += tight & higher_wins
    return wins, ups, downs


@compiled
def _masked(masks, flip, allowed, before, place):  # pragma: no cover - compiled
    return (masks[place >> 1] ^ flip) & (before if place & 1 else allowed)


@compiled
def _carry(a, b, c):  # pragma: no cover - compiled
    return (a & b) | ((a ^ b) & c)


@compiled
def _add_chosen(masks, flip, allowed, before, chosen, planes):  # pragma: no cover - compiled
    """Add the chosen masks (after ^ flip), as far as they are allowed, to the vertical counters."""
    ones, twos, fours = planes[0], planes[1], planes[2]
    whole = chosen.size & ~7
    for start in range(0, whole, 8):
        a = _masked(masks, flip, allowed, before, chosen[start])
        b = _masked(masks, flip, allowed, before, chosen[start + 1])
        two_a, ones = _carry(ones, a, b), ones ^ a ^ b
        a = _masked(masks, flip, allowed, before, chosen[start + 2])
        b = _masked(masks, flip, allowed, before, chosen[start + 3])
        two_b, ones = _carry(ones, a, b), ones ^ a ^ b
        four_a, twos = _carry(twos, two_a, two_b), twos ^ two_a ^ two_b
        a = _masked(masks, flip, allowed, before, chosen[start + 4])
        b = _masked(masks, flip, allowed, before, chosen[start + 5])
        two_a, ones = _carry(ones, a, b), ones ^ a ^ b
        a = _masked(masks, flip, allowed, before, chosen[start + 6])
        b = _masked(masks, flip, allowed, before, chosen[start + 7])
        two_b, ones = _carry(ones, a, b), ones ^ a ^ b
        four_b, twos = _carry(twos, two_a, two_b), twos ^ two_a ^ two_b
        eight, fours = _carry(fours, four_a, four_b), fours ^ four_a ^ four_b
        _add_mask(eight, 3, planes)
    planes[0], planes[1], planes[2] = ones, twos, fours
    for place in chosen[whole:]:
        _add_mask(_masked(masks, flip, allowed, before, place), 0, planes)


@compiled
def _add_mask(mask, level, planes):  # pragma: no cover - compiled
    while mask != NONE:
        rest = planes[level] & mask
        planes[level] ^= mask
        mask = rest
        level += 1


@compiled
def _take_count(planes, candidate):  # pragma: no cover - compiled
    count = 0
    word, bit = candidate // WORD_BITS, np.uint64(candidate % WORD_BITS)
    for level in range(LEVELS):
        count |= np.int64((planes[word, level] >> bit) & ONE) << level
    return count


@compiled
def _count_winner(counts, winner, is_hit, pixels):  # pragma: no cover - compiled
    counts[1, winner] += pixels
    if is_hit:
        counts[0, winner] += pixels


@compiled
def _add_flips(planes, loser, winner, was_hit, is_hit, gains):  # pragma: no cover - compiled
    """Turn as many pixels from `loser` to `winner` as `planes` count for each candidate; empties them."""
    for candidate in range(gains.shape[0]):
        pixels = _take_count(planes, candidate)
        gains[candidate, 1, loser] -= pixels
        gains[candidate, 1, winner] += pixels
        if was_hit:
            gains[candidate, 0, loser] -= pixels
        if is_hit:
            gains[candidate, 0, winner] += pixels
    planes[:] = NONE


@compiled
def count_several(labels, kinds, classes, voters, runs, weights, allowed, valid, counts, gains):  # pragma: no cover
    """As `count_pairs`, on pixels of several classes. `runs` int64 (runs, 3): start, stop and first entry.

    `valid` (words,) holds all candidates. A pixel has an entry for each class, and a mask for each but the last.
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
            for kind in range(number if gains.shape[0] else 0):
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
    best = -1
    for kind in range(number):
        count, first = np.int64(0), NEVER
        if classes[entry + kind] != ABSTAIN:
            for word in range(weights.shape[1]):
                members = NONE
                for bit in range(weights.shape[0]):
                    voters = masks[kind, word] & weights[bit, word]
                    members |= voters
                    count += population(voters) << bit
                if members != NONE and first == NEVER:
                    first = word * WORD_BITS + lowest_bit(members)
        votes[kind], firsts[kind] = count, first
        if count > 0 and (best < 0 or count > votes[best] or (count == votes[best] and first < firsts[best])):
            best = kind
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
def own_counts(masks, spans, labels, kinds, classes, voters, runs, valid, gains):  # pragma: no cover - compiled
    """Add each candidate's own hits and predicted pixels to `gains` int64 (candidates, 2, classes)."""
    words, num_classes = valid.size, gains.shape[2]
    planes, pixels = np.zeros((words, LEVELS), np.uint64), 0
    for span in range(spans.shape[0]):
        for start in range(spans[span, 0], spans[span, 1], BLOCK):
            size = min(BLOCK, spans[span, 1] - start)
            for word in range(words):
                part = masks[word, start : start + size]
                _add_chosen(part, NONE, ~NONE, NONE, IDENTITY[:size], planes[word])
            pixels += size
        key = spans[span, 2]
        if span + 1 == spans.shape[0] or spans[span + 1, 2] != key:
            lower, higher, kind = key // 3 // num_classes, key // 3 % num_classes, key % 3
            for candidate in range(gains.shape[0]):
                votes = _take_count(planes, candidate)
                _count_winner(gains[candidate], higher, kind == 1, votes)
                _count_winner(gains[candidate], lower, kind == 0, pixels - votes)
            planes[:], pixels = NONE, 0
    _own_several(labels, kinds, classes, voters, runs, valid, gains)


@compiled
def _own_several(labels, kinds, classes, voters, runs, valid, gains):  # pragma: no cover - compiled
    words = valid.size
    planes = np.zeros((gains.shape[2], 2, words, LEVELS), np.uint64)
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
    for candidate in range(gains.shape[0]):
        for winner in range(gains.shape[2]):
            hits = _take_count(planes[winner, 1], candidate)
            gains[candidate, 0, winner] += hits
            gains[candidate, 1, winner] += hits + _take_count(planes[winner, 0], candidate)
