"""Kernels that count votes on blocks, 64 pixels at a time, a bit each.

The votes for a class are a number in vertical counters: bit i of the words of `tally`, from the lowest level up, are
those of pixel i, and a member's word is added by carries. Most votes, ties and a lead of one are comparisons of such
numbers; the winner falls out of the members' words in rank order. What one more vote of a candidate changes is then its
word, as far as the pixels lie within its reach.
"""

from typing import NamedTuple

import numpy as np

from ensembling.counting.bits import ALL, NONE, ONE, WORD_BITS, population
from ensembling.counting.group_pixels import MOST_CLASSES
from ensembling.kernels import compiled, inlined

LEVELS = 32


class Members(NamedTuple):
    """Who votes. Candidates are named by their index among the words of a row."""

    candidates: np.ndarray  # int64 (members,), from best to worst
    weights: np.ndarray  # int64 (members,), how many votes each casts
    better: np.ndarray  # int64 (candidates,), how many members rank better than each candidate


def members_of(order: np.ndarray, weights: np.ndarray) -> Members:
    """Return who votes: `order` int64 (candidates,) has all from best to worst, `weights` how many votes each casts."""
    is_member = weights[order] > 0
    better = np.empty_like(order)
    better[order] = np.cumsum(is_member) - is_member
    return Members(order[is_member], weights[order[is_member]], better)


@compiled
def count_blocks(blocks, members, counts, gains):  # pragma: no cover - compiled
    """Count the members' vote on blocks of three or more classes, and what one more vote of a candidate changes.

    Args:
        blocks: the `Blocks` to count on; groups of two classes are left out, see `count_two_classes`.
        members: the `Members`, at least one.
        counts: int64 (2, classes); the hits and predicted pixels of the vote are added to it.
        gains: int64 (2, classes, candidates); what they change by one more vote of each candidate is added to it. With
            no candidates, only the vote is counted.
    """
    num_members, num_candidates, rows = members.candidates.size, gains.shape[2], blocks.rows
    candidates, weights, better = members
    tally = np.empty((MOST_CLASSES, levels_for(members.weights.sum())), np.uint64)
    votes, voted = np.empty((num_members, MOST_CLASSES), np.uint64), np.empty(num_members + 1, np.uint64)
    most, winner, tied = (
        np.empty(LEVELS, np.uint64),
        np.empty(MOST_CLASSES, np.uint64),
        np.empty(MOST_CLASSES, np.uint64),
    )
    reach, if_better = np.empty(MOST_CLASSES, np.uint64), np.empty(MOST_CLASSES, np.uint64)
    changes = np.empty((MOST_CLASSES + 3, num_candidates), np.uint64)
    net = np.empty((MOST_CLASSES, num_candidates), np.int64)
    wins = np.empty(MOST_CLASSES, np.int64)
    for group in range(blocks.pixels.size):
        number, pixels = blocks.num_classes[group], blocks.pixels[group]
        if number == 2:
            continue
        wins[:], net[:] = 0, 0
        step = blocks_for(pixels)
        for block in range(step):
            row, valid = blocks.first_row[group] + block, first_bits(pixels - block * WORD_BITS)
            _add_members(rows, row, step, number, candidates, weights, votes, tally)
            _find_winner(votes, number, tally, valid, most, tied, winner)
            for kind in range(number):
                wins[kind] += population(winner[kind])
            if num_candidates:
                _find_reach(votes, number, tally, valid, most, tied, winner, reach, if_better, voted)
                _add_changes(rows, row, step, number, winner, reach, if_better, voted, better, changes, net)
        for kind in range(number - 1):
            net[kind] -= wins[kind]
        add_group(blocks, group, wins, net, counts, gains)


@compiled
def count_alone(blocks, counts, gains):  # pragma: no cover - compiled
    """Count each candidate's own vote: it is `counts` + `gains`, as if one vote more were the first.

    To `counts` is added the vote in which the last class of each group wins, to `gains` what a candidate changes in it.
    """
    wins, net = np.empty(MOST_CLASSES, np.int64), np.empty((MOST_CLASSES, gains.shape[2]), np.int64)
    for group in range(blocks.pixels.size):
        number, row = blocks.num_classes[group], blocks.first_row[group]
        wins[:], net[:] = 0, 0
        wins[number - 1] = blocks.pixels[group]
        for kind in range(number - 1):
            for _ in range(blocks_for(blocks.pixels[group])):
                for candidate in range(gains.shape[2]):
                    net[kind, candidate] += population(blocks.rows[row, candidate])
                row += 1
        add_group(blocks, group, wins, net, counts, gains)


@inlined
def blocks_for(pixels):  # pragma: no cover - compiled
    """Return how many blocks hold so many pixels."""
    return (pixels + WORD_BITS - 1) // WORD_BITS


@inlined
def first_bits(number):  # pragma: no cover - compiled
    """Return a word whose lowest `number` bits are set, at most all."""
    return ALL if number >= WORD_BITS else (ONE << np.uint64(number)) - ONE


@compiled
def levels_for(total):  # pragma: no cover - compiled
    """Return how many bits a number up to `total` takes."""
    levels = 0
    while total >> levels:
        levels += 1
    return levels


@inlined
def add_votes(word, weight, tally):  # pragma: no cover - compiled
    """Add `weight` to the counters `tally`, uint64 (levels,), of the pixels in `word`."""
    level = 0
    while weight:
        if weight & 1:
            carry = word
            for higher in range(level, tally.size):
                both = tally[higher] & carry
                tally[higher] ^= carry
                carry = both
        weight >>= 1
        level += 1


@inlined
def _add_members(rows, row, step, number, candidates, weights, votes, tally):  # pragma: no cover - compiled
    """Leave the words of the members for each class in `votes`, and all their votes in `tally`."""
    tally[:number] = NONE
    for index in range(candidates.size):
        rest = ALL
        for kind in range(number):
            word = rest
            if kind < number - 1:
                word = rows[row + kind * step, candidates[index]]
                rest &= ~word
            votes[index, kind] = word
            add_votes(word, weights[index], tally[kind])


@inlined
def _find_winner(votes, number, tally, valid, most, tied, winner):  # pragma: no cover - compiled
    """Find the pixels that each class wins: of those with most votes, the class for which the best member votes.

    Leaves in `most` the number of votes that wins, as counters; in `tied` the pixels on which a class has as many, and
    in `winner` those that it wins. All of it is about the pixels in `valid`.
    """
    for kind in range(number):
        tied[kind], winner[kind] = valid, NONE
    for level in range(tally.shape[1] - 1, -1, -1):
        most[level] = NONE
        for kind in range(number):
            most[level] |= tied[kind] & tally[kind, level]
        for kind in range(number):
            tied[kind] &= tally[kind, level] | ~most[level]
    undecided = valid
    for index in range(votes.shape[0]):
        decided = NONE
        for kind in range(number):
            won = undecided & tied[kind] & votes[index, kind]
            winner[kind] |= won
            decided |= won
        undecided &= ~decided
        if undecided == NONE:
            break


@inlined
def _find_reach(
    votes, number, tally, valid, most, tied, winner, reach, if_better, voted
):  # pragma: no cover - compiled
    """Find the pixels on which one more vote lets a class win.

    A class that is tied needs one vote more. One that is a vote behind comes to a tie by it, and wins that if its best
    voter ranks better than the winner's. Leaves in `reach` where any candidate's vote does it, since the class is tied
    or a member is such a voter; in `if_better` where the vote must come from a candidate that ranks better than all who
    vote for the winner. The first i members hold such a vote on the pixels `voted[i]`.
    """
    for kind in range(number):
        behind, carry = valid & ~winner[kind], ALL
        for level in range(tally.shape[1]):
            behind &= ~(tally[kind, level] ^ carry ^ most[level])
            carry &= tally[kind, level]
        reach[kind], if_better[kind] = tied[kind] & ~winner[kind], behind
    voted[0] = NONE
    for index in range(votes.shape[0]):
        for_winner = NONE
        for kind in range(number):
            is_best = if_better[kind] & votes[index, kind] & ~voted[index]
            reach[kind] |= is_best
            if_better[kind] &= ~is_best
            for_winner |= votes[index, kind] & winner[kind]
        voted[index + 1] = voted[index] | for_winner


@inlined
def _add_changes(
    rows, row, step, number, winner, reach, if_better, voted, better, changes, net
):  # pragma: no cover - compiled
    """Add to `net` (classes, candidates) how many pixels each class but the last has with a candidate's vote.

    `changes` is scratch: what each class wins by a candidate's vote, then where that is any, on which pixels the
    candidate votes for the last class, and on which a better member votes for the winner.
    """
    won, changed, rest, beaten = changes[:MOST_CLASSES], changes[-3], changes[-2], changes[-1]
    changed[:], rest[:] = NONE, ALL
    for candidate in range(better.size):
        beaten[candidate] = voted[better[candidate]]
    for kind in range(number):
        for candidate in range(better.size):
            vote = rows[row + kind * step, candidate] if kind < number - 1 else rest[candidate]
            rest[candidate] &= ~vote
            won[kind, candidate] = vote & (reach[kind] | (if_better[kind] & ~beaten[candidate]))
            changed[candidate] |= won[kind, candidate]
    for kind in range(number - 1):
        for candidate in range(better.size):
            # What it wins it had not: one population is that of both.
            net[kind, candidate] += population(won[kind, candidate] | (winner[kind] & ~changed[candidate]))


@compiled
def add_group(blocks, group, wins, net, counts, gains):  # pragma: no cover - compiled
    """Add a group's results to those of its classes; what its classes gain together is what they lose.

    `wins`, int64 (classes,), are the pixels that each class wins; `net`, int64 (classes, candidates), how many more
    each class but the last has with one more vote.
    """
    number, target = blocks.num_classes[group], blocks.target[group]
    last = np.int64(blocks.classes[group, number - 1])
    for kind in range(number):
        class_id = np.int64(blocks.classes[group, kind])
        counts[1, class_id] += wins[kind]
        if kind == target:
            counts[0, class_id] += wins[kind]
    for kind in range(number - 1):
        class_id = np.int64(blocks.classes[group, kind])
        for candidate in range(gains.shape[2]):
            gains[1, class_id, candidate] += net[kind, candidate]
            gains[1, last, candidate] -= net[kind, candidate]
            if kind == target:
                gains[0, class_id, candidate] += net[kind, candidate]
            elif target == number - 1:
                gains[0, last, candidate] -= net[kind, candidate]
