"""Kernels that count votes on blocks, 64 pixels at a time, one bit for each pixel.

The votes for a class are a number in vertical counters: bit i of the words of `tally`, from the lowest level up, are
those of pixel i, and a member's word is added by carries. Most votes, ties and a lead of one are comparisons of such
numbers; the winner falls out of the members' words in rank order. What one more vote of a candidate changes is then its
word, on the pixels where one more vote decides.
"""

from typing import NamedTuple

import numpy as np

from ensembling.counting.bits import ALL, NONE, ONE, WORD_BITS, population
from ensembling.counting.group_pixels import MOST_CLASSES
from ensembling.kernels import compiled, inlined


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


class Block(NamedTuple):
    """Which block of all is looked at."""

    rows: np.ndarray  # uint64 (rows, candidates): the words of all blocks
    row: int  # the block's row for its first class
    step: int  # from the row of one class to that of the next
    num_classes: int  # of the group
    valid: int  # uint64: the bits that hold a pixel


class Count(NamedTuple):
    """What is found out about one block, as words of a bit a pixel; a new block overwrites it."""

    votes: np.ndarray  # (members, classes), who of the members votes for what
    tally: np.ndarray  # (classes, levels), how many votes each class has, as vertical counters
    most: np.ndarray  # (levels,), how many votes the winner has, as vertical counters
    tied: np.ndarray  # (classes,), where a class has as many votes as the winner
    winner: np.ndarray  # (classes,), where a class wins
    winnable: np.ndarray  # (classes,), where one more vote lets a class win
    if_better: np.ndarray  # (classes,), where one does that comes from a candidate better than all for the winner
    decided: np.ndarray  # (members + 1,), where one of the first i members votes for the winner
    won: np.ndarray  # (classes, candidates), what a class wins by the vote of a candidate
    changed: np.ndarray  # (candidates,), where a candidate's vote changes the winner
    rest: np.ndarray  # (candidates,), where a candidate votes for none of the classes so far
    beaten: np.ndarray  # (candidates,), where a member that ranks better than the candidate votes for the winner


@compiled
def _new_count(members, num_candidates):  # pragma: no cover - compiled
    """Return a `Count` for these members to be filled in."""
    num_members, levels = members.candidates.size, levels_for(members.weights.sum())
    return Count(
        np.empty((num_members, MOST_CLASSES), np.uint64),
        np.empty((MOST_CLASSES, levels), np.uint64),
        np.empty(levels, np.uint64),
        np.empty(MOST_CLASSES, np.uint64),
        np.empty(MOST_CLASSES, np.uint64),
        np.empty(MOST_CLASSES, np.uint64),
        np.empty(MOST_CLASSES, np.uint64),
        np.empty(num_members + 1, np.uint64),
        np.empty((MOST_CLASSES, num_candidates), np.uint64),
        np.empty(num_candidates, np.uint64),
        np.empty(num_candidates, np.uint64),
        np.empty(num_candidates, np.uint64),
    )


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
    num_candidates = gains.shape[2]
    count = _new_count(members, num_candidates)
    wins, net = np.empty(MOST_CLASSES, np.int64), np.empty((MOST_CLASSES, num_candidates), np.int64)
    for group in range(blocks.pixels.size):
        num_classes, pixels = blocks.num_classes[group], blocks.pixels[group]
        if num_classes == 2:
            continue
        wins[:], net[:] = 0, 0
        step = blocks_for(pixels)
        for index in range(step):
            valid = first_bits(pixels - index * WORD_BITS)
            block = Block(blocks.rows, blocks.first_row[group] + index, step, num_classes, valid)
            _add_members(block, members, count)
            _find_winner(block, count)
            for class_index in range(num_classes):
                wins[class_index] += population(count.winner[class_index])
            if num_candidates:
                _find_winnable(block, count)
                _add_changes(block, members.better, count, net)
        for class_index in range(num_classes - 1):
            net[class_index] -= wins[class_index]
        add_group(blocks, group, wins, net, counts, gains)


@compiled
def count_alone(blocks, counts, gains):  # pragma: no cover - compiled
    """Count each candidate's own vote: it is `counts` + `gains`, as if one vote more were the first.

    To `counts` is added the vote in which the last class of each group wins, to `gains` what a candidate changes in it.
    """
    wins, net = np.empty(MOST_CLASSES, np.int64), np.empty((MOST_CLASSES, gains.shape[2]), np.int64)
    for group in range(blocks.pixels.size):
        num_classes, row = blocks.num_classes[group], blocks.first_row[group]
        wins[:], net[:] = 0, 0
        wins[num_classes - 1] = blocks.pixels[group]
        for class_index in range(num_classes - 1):
            for _ in range(blocks_for(blocks.pixels[group])):
                for candidate in range(gains.shape[2]):
                    net[class_index, candidate] += population(blocks.rows[row, candidate])
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
def _add_members(block, members, count):  # pragma: no cover - compiled
    """Read the votes of the members for each class, and add them up."""
    # Here and below, arrays are taken out of tuples before loops: each access counts a reference.
    rows, candidates, weights, votes, tally = block.rows, members.candidates, members.weights, count.votes, count.tally
    tally[: block.num_classes] = NONE
    for index in range(candidates.size):
        rest = ALL
        for class_index in range(block.num_classes):
            word = rest
            if class_index < block.num_classes - 1:
                word = rows[block.row + class_index * block.step, candidates[index]]
                rest &= ~word
            votes[index, class_index] = word
            add_votes(word, weights[index], tally[class_index])


@inlined
def _find_winner(block, count):  # pragma: no cover - compiled
    """Find the pixels that each class wins: of those with most votes, the class for which the best member votes."""
    votes, tally, most, tied, winner = count.votes, count.tally, count.most, count.tied, count.winner
    for class_index in range(block.num_classes):
        tied[class_index], winner[class_index] = block.valid, NONE
    for level in range(tally.shape[1] - 1, -1, -1):
        most[level] = NONE
        for class_index in range(block.num_classes):
            most[level] |= tied[class_index] & tally[class_index, level]
        for class_index in range(block.num_classes):
            tied[class_index] &= tally[class_index, level] | ~most[level]
    undecided = block.valid
    for index in range(votes.shape[0]):
        decided = NONE
        for class_index in range(block.num_classes):
            won = undecided & tied[class_index] & votes[index, class_index]
            winner[class_index] |= won
            decided |= won
        undecided &= ~decided
        if undecided == NONE:
            break


@inlined
def _find_winnable(block, count):  # pragma: no cover - compiled
    """Find the pixels on which one more vote lets a class win.

    A class that is tied needs one vote more. One that is a vote behind comes to a tie by it, and wins that if its best
    voter ranks better than the winner's: a member may be such a voter already, or else the candidate has to be.
    """
    votes, tally, most, tied, winner = count.votes, count.tally, count.most, count.tied, count.winner
    winnable, if_better, decided = count.winnable, count.if_better, count.decided
    for class_index in range(block.num_classes):
        behind, carry = block.valid & ~winner[class_index], ALL
        for level in range(tally.shape[1]):
            behind &= ~(tally[class_index, level] ^ carry ^ most[level])
            carry &= tally[class_index, level]
        winnable[class_index], if_better[class_index] = tied[class_index] & ~winner[class_index], behind
    decided[0] = NONE
    for index in range(votes.shape[0]):
        decided[index + 1] = decided[index]
        for class_index in range(block.num_classes):
            is_best = if_better[class_index] & votes[index, class_index] & ~decided[index]
            winnable[class_index] |= is_best
            if_better[class_index] &= ~is_best
            decided[index + 1] |= votes[index, class_index] & winner[class_index]


@inlined
def _add_changes(block, better, count, net):  # pragma: no cover - compiled
    """Add to `net`, int64 (classes, candidates), how many pixels each class but the last has with a candidate's vote.

    `better`, int64 (candidates,), says how many members rank better than each candidate.
    """
    rows, won, changed, rest, beaten = block.rows, count.won, count.changed, count.rest, count.beaten
    decided = count.decided
    for candidate in range(better.size):
        changed[candidate], rest[candidate], beaten[candidate] = NONE, ALL, decided[better[candidate]]
    for class_index in range(block.num_classes):
        winnable, if_better = count.winnable[class_index], count.if_better[class_index]
        row = block.row + class_index * block.step
        for candidate in range(better.size):
            vote = rows[row, candidate] if class_index < block.num_classes - 1 else rest[candidate]
            rest[candidate] &= ~vote
            won[class_index, candidate] = vote & (winnable | (if_better & ~beaten[candidate]))
            changed[candidate] |= won[class_index, candidate]
    for class_index in range(block.num_classes - 1):
        winner = count.winner[class_index]
        for candidate in range(better.size):
            # What it wins it had not: one population is that of both.
            net[class_index, candidate] += population(won[class_index, candidate] | (winner & ~changed[candidate]))


@compiled
def add_group(blocks, group, wins, net, counts, gains):  # pragma: no cover - compiled
    """Add a group's results to those of its classes; what its classes gain together is what they lose.

    Args:
        blocks: the `Blocks`.
        group: the index of the group.
        wins: int64 (classes,), the pixels that each class of the group wins.
        net: int64 (classes, candidates), how many more pixels each class but the last has with one more vote.
        counts: as for `count_blocks`.
        gains: as for `count_blocks`.
    """
    num_classes, target = blocks.num_classes[group], blocks.target[group]
    last = np.int64(blocks.classes[group, num_classes - 1])
    for class_index in range(num_classes):
        class_id = np.int64(blocks.classes[group, class_index])
        counts[1, class_id] += wins[class_index]
        if class_index == target:
            counts[0, class_id] += wins[class_index]
    for class_index in range(num_classes - 1):
        class_id = np.int64(blocks.classes[group, class_index])
        for candidate in range(gains.shape[2]):
            gains[1, class_id, candidate] += net[class_index, candidate]
            gains[1, last, candidate] -= net[class_index, candidate]
            if class_index == target:
                gains[0, class_id, candidate] += net[class_index, candidate]
            elif target == num_classes - 1:
                gains[0, last, candidate] -= net[class_index, candidate]
