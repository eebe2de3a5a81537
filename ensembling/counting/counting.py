"""Kernels that count votes on blocks of three or more classes, 64 pixels at a time, a bit each.

The votes for a class are a number in vertical counters: bit i of the words of `tally`, from the lowest level up, are
those of pixel i, and a member's word is added by carries. Most votes, ties and a lead of one are comparisons of such
numbers, the best voter's choice falls out of the members' words in rank order. What one more vote of a candidate would
turn is then its word & the pixels in reach; only the difference that it makes to each class is kept.
"""

import numpy as np

from ensembling.counting.blocks import COLUMN
from ensembling.counting.grouping import MOST_CLASSES
from ensembling.counting.words import NONE, population
from ensembling.kernels import compiled, inlined

LEVELS = 32
ALL = ~NONE


@compiled
def count_blocks(groups, rows, slots, members, votes, repeat, counts, gains):  # pragma: no cover - compiled
    """Add the members' vote to `counts` int64 (2, classes), what one more vote changes to `gains` (2, classes, n).

    Groups of two classes are left out: see counting_pairs.py. `members` int64 (members,) are ranks, ascending, and
    `votes` their numbers of votes; there is at least one. Members get one more if they may `repeat`. `slots` uint64
    (blocks,) has the pixels that count.
    """
    levels, total = 0, votes.sum()
    while total >> levels:
        levels += 1
    words = np.empty((members.size, MOST_CLASSES), np.uint64)
    tally = np.empty((MOST_CLASSES, LEVELS), np.uint64)
    winner, tied, reach, late = np.empty((4, MOST_CLASSES), np.uint64)
    voted = np.empty(members.size + 1, np.uint64)
    wins = np.empty(MOST_CLASSES, np.int64)
    rest, turned, taken = np.empty((3, gains.shape[2]), np.uint64)
    won = np.empty((MOST_CLASSES, gains.shape[2]), np.uint64)
    net = np.empty((MOST_CLASSES, gains.shape[2]), np.int64)
    for group in range(groups.shape[0]):
        number, row = groups[group, COLUMN.number], groups[group, COLUMN.first_row]
        if number == 2:
            continue
        wins[:], net[:number] = 0, 0
        first = groups[group, COLUMN.first_block]
        for block in range(first, first + groups[group, COLUMN.blocks]):
            if slots[block] != NONE:
                _add_votes(rows, row, number, members, votes, levels, words, tally)
                _find_winner(number, members.size, levels, words, tally, slots[block], tied, winner)
                for kind in range(number):
                    wins[kind] += population(winner[kind])
                if gains.shape[2]:
                    _find_reach(number, members.size, levels, words, tally, slots[block], winner, reach, late, voted)
                    _find_taken(members, voted, taken)
                    _add_turned(rows, row, number, winner, reach, late, taken, rest, turned, won, net)
            row += number - 1
        for kind in range(number - 1):
            net[kind] -= wins[kind]
        if gains.shape[2] and not repeat:
            for member in members:
                net[:, member] = 0
        settle(groups, group, wins, net, counts, gains)


@inlined
def _add_votes(rows, row, number, members, votes, levels, words, tally):  # pragma: no cover - compiled
    """Leave the members' words for each class in `words` (members, classes), all votes in `tally`."""
    for kind in range(number):
        for level in range(levels):
            tally[kind, level] = NONE
    for place in range(members.size):
        rest = ALL
        for kind in range(number):
            if kind < number - 1:
                words[place, kind] = rows[row + kind, members[place]]
                rest &= ~words[place, kind]
            else:
                words[place, kind] = rest
            left, level = votes[place], 0
            while left:
                if left & 1:
                    carry = words[place, kind]
                    for higher in range(level, levels):
                        both = tally[kind, higher] & carry
                        tally[kind, higher] ^= carry
                        carry = both
                left >>= 1
                level += 1


@inlined
def _find_winner(number, members, levels, words, tally, slots, tied, winner):  # pragma: no cover - compiled
    """Leave in `winner` the pixels that each class wins: those with most votes, then the class of the best voter."""
    for kind in range(number):
        tied[kind], winner[kind] = slots, NONE
    for level in range(levels - 1, -1, -1):
        some = NONE
        for kind in range(number):
            some |= tied[kind] & tally[kind, level]
        for kind in range(number):
            tied[kind] &= tally[kind, level] | ~some
    open_pixels = slots
    for place in range(members):
        if open_pixels == NONE:
            break
        decided = NONE
        for kind in range(number):
            won = open_pixels & tied[kind] & words[place, kind]
            winner[kind] |= won
            decided |= won
        open_pixels &= ~decided


@inlined
def _find_reach(
    number, members, levels, words, tally, slots, winner, reach, late, voted
):  # pragma: no cover - compiled
    """Leave in `reach` where one more vote lets a class win, in `late` where only candidates better than the winner's.

    A class that is tied needs one vote more. One that is a vote behind comes to a tie by it, and wins that if its best
    voter is better than the winner's: one of the members is already, or the candidate is. `voted[i]` are the pixels
    where one of the first i members votes for the winner.
    """
    voted[0] = NONE
    for place in range(members):
        for_winner = NONE
        for kind in range(number):
            for_winner |= words[place, kind] & winner[kind]
        voted[place + 1] = voted[place] | for_winner
    for kind in range(number):
        early = NONE
        for place in range(members):
            early |= words[place, kind] & ~voted[place]
        equal, behind, carry = ALL, ALL, ALL
        for level in range(levels):
            most = NONE
            for other in range(number):
                most |= winner[other] & tally[other, level]
            equal &= ~(tally[kind, level] ^ most)
            behind &= ~(tally[kind, level] ^ carry ^ most)
            carry &= tally[kind, level]
        losing = slots & ~winner[kind]
        reach[kind] = losing & (equal | (behind & early))
        late[kind] = losing & behind & ~early


@inlined
def _find_taken(members, voted, taken):  # pragma: no cover - compiled
    """Leave in `taken` (candidates,) where a better member than the candidate votes for the winner."""
    start = 0
    for place in range(members.size + 1):
        stop = members[place] + 1 if place < members.size else taken.size
        taken[start:stop] = voted[place]
        start = stop


@inlined
def _add_turned(rows, row, number, winner, reach, late, taken, rest, turned, won, net):  # pragma: no cover - compiled
    """Add to `net` (classes, candidates) how many pixels each class but the last wins with a candidate's vote.

    Leaves in `turned` (candidates,) those that change their winner, in `won` (classes, candidates) to what, in `rest`
    those on which the candidate votes for the last class.
    """
    rest[:], turned[:] = ALL, NONE
    for kind in range(number):
        for candidate in range(turned.size):
            vote = rows[row + kind, candidate] if kind < number - 1 else rest[candidate]
            rest[candidate] &= ~vote
            won[kind, candidate] = vote & (reach[kind] | (late[kind] & ~taken[candidate]))
            turned[candidate] |= won[kind, candidate]
    for kind in range(number - 1):
        for candidate in range(turned.size):
            # What it wins it had not: one population is that of both.
            net[kind, candidate] += population(won[kind, candidate] | (winner[kind] & ~turned[candidate]))


@compiled
def settle(groups, group, wins, net, counts, gains):  # pragma: no cover - compiled
    """Move the group's pixels from places to classes. What classes gain together is what they lose."""
    number, hit = groups[group, COLUMN.number], groups[group, COLUMN.hit]
    for kind in range(number):
        counts[1, groups[group, COLUMN.classes + kind]] += wins[kind]
        if kind == hit:
            counts[0, groups[group, COLUMN.classes + kind]] += wins[kind]
    last = groups[group, COLUMN.classes + number - 1]
    for kind in range(number - 1):
        class_id = groups[group, COLUMN.classes + kind]
        for candidate in range(gains.shape[2]):
            gains[1, class_id, candidate] += net[kind, candidate]
            gains[1, last, candidate] -= net[kind, candidate]
        if kind == hit:
            gains[0, class_id] += net[kind]
        elif hit == number - 1:
            gains[0, last] -= net[kind]


@compiled
def own_blocks(groups, rows, slots, gains):  # pragma: no cover - compiled
    """Add each candidate's own hits and predicted pixels to `gains` int64 (2, classes, candidates)."""
    votes = np.empty((MOST_CLASSES, gains.shape[2]), np.int64)
    for group in range(groups.shape[0]):
        number, row = groups[group, COLUMN.number], groups[group, COLUMN.first_row]
        votes[:] = 0
        first, pixels = groups[group, COLUMN.first_block], 0
        for block in range(first, first + groups[group, COLUMN.blocks]):
            pixels += population(slots[block])
            for kind in range(number - 1):
                for candidate in range(gains.shape[2]):
                    votes[kind, candidate] += population(rows[row + kind, candidate] & slots[block])
            row += number - 1
        for candidate in range(gains.shape[2]):
            rest = pixels
            for kind in range(number):
                winner = groups[group, COLUMN.classes + kind]
                some = votes[kind, candidate] if kind < number - 1 else rest
                rest -= some
                gains[1, winner, candidate] += some
                if kind == groups[group, COLUMN.hit]:
                    gains[0, winner, candidate] += some
