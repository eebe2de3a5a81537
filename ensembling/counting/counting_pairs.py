"""Kernel that counts votes on blocks of two classes, where most disputed pixels are; for others see counting.py.

With two classes, one number of votes says all: the other class has the rest. Whoever is best of the members has voted
for one of them, so that every tie is decided by that member.
"""

import numpy as np

from ensembling.counting.blocks import COLUMN
from ensembling.counting.counting import settle
from ensembling.counting.words import NONE, population
from ensembling.kernels import compiled, inlined

ALL = ~NONE


@compiled
def count_pairs(groups, rows, slots, members, votes, repeat, counts, gains):  # pragma: no cover - compiled
    """As `count_blocks`, on the groups of two classes."""
    levels, total, candidates = 0, votes.sum(), gains.shape[2]
    while total >> levels:
        levels += 1
    half, odd = total // 2, total % 2 == 1
    tally = np.empty(levels, np.uint64)
    wins, net = np.empty(2, np.int64), np.empty((1, candidates), np.int64)
    gained, better = net[0], members[0]
    for group in range(groups.shape[0]):
        if groups[group, COLUMN.number] != 2 or groups[group, COLUMN.blocks] == 0:
            continue
        gained[:], wins[:], lost, lost_early = 0, 0, 0, 0
        first_block, first_row = groups[group, COLUMN.first_block], groups[group, COLUMN.first_row]
        for block in range(groups[group, COLUMN.blocks]):
            pixels, row = slots[first_block + block], first_row + block
            tally[:] = NONE
            for place in range(members.size):
                left, level = votes[place], 0
                while left:
                    if left & 1:
                        carry = rows[row, members[place]]
                        for higher in range(level, levels):
                            both = tally[higher] & carry
                            tally[higher] ^= carry
                            carry = both
                    left >>= 1
                    level += 1
            # The lower class has more than half of the votes (rounded down), exactly that, or one more.
            above, equal, next_to = _compare(tally, half)
            best = rows[row, members[0]]
            lower = pixels & (above if odd else above | (equal & best))
            wins[0] += population(lower)
            wins[1] += population(pixels & ~lower)
            if candidates:
                # One behind, a class comes to a tie by one vote: it wins that if the best voter is for it.
                up = pixels & (equal & best if odd else equal & ~best)
                down = pixels & (next_to & ~best if odd else equal & best)
                # Who votes for the lower class does not take the pixels of `down` from it: what it wins, less what a
                # vote for the other class takes from it, is one sum.
                either, lost = up | down, lost + population(down)
                for candidate in range(candidates):
                    gained[candidate] += population(either & rows[row, candidate])
                if odd and better:
                    up, down = pixels & equal & ~best, pixels & next_to & best
                    either, lost_early = up | down, lost_early + population(down)
                    for candidate in range(better):
                        gained[candidate] += population(either & rows[row, candidate])
        gained -= lost
        gained[:better] -= lost_early
        if candidates and not repeat:
            for member in members:
                gained[member] = 0
        settle(groups, group, wins, net, counts, gains)


@inlined
def _compare(tally, half):  # pragma: no cover - compiled
    """Where the number is above `half`, equal to it, and equal to half + 1."""
    above, equal, next_to = NONE, ALL, ALL
    for level in range(tally.size - 1, -1, -1):
        bits, wanted = tally[level], ALL if half >> level & 1 else NONE
        above |= equal & bits & ~wanted
        equal &= ~(bits ^ wanted)
        next_to &= ~(bits ^ (ALL if (half + 1) >> level & 1 else NONE))
    return above, equal, next_to
