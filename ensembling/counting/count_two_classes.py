"""The kernel that counts votes on blocks of two classes, where most disputed pixels are.

With two classes one number says all: the second class has the rest of the votes. The best of the members votes for one
of them, so that it decides every tie.
"""

import numpy as np

from ensembling.counting.bits import ALL, NONE, WORD_BITS, population
from ensembling.counting.count_blocks import add_group, add_votes, blocks_for, first_bits, levels_for
from ensembling.kernels import compiled, inlined


@compiled
def count_two_classes(blocks, members, counts, gains):  # pragma: no cover - compiled
    """Count the members' vote on blocks of two classes, and what one more vote of a candidate changes.

    Args:
        blocks: the `Blocks` to count on; groups of more classes are left out, see `count_blocks`.
        members: the `Members`, at least one.
        counts: as for `count_blocks`.
        gains: as for `count_blocks`.
    """
    total, num_candidates, rows = members.weights.sum(), gains.shape[2], blocks.rows
    candidates, weights, better = members
    half, is_odd = total // 2, total % 2 == 1
    tally = np.empty(levels_for(total), np.uint64)
    wins, net = np.empty(2, np.int64), np.empty((1, num_candidates), np.int64)
    gained = net[0]
    ranks_best = np.empty(num_candidates, np.uint64)  # all bits, where no member ranks better than the candidate
    for candidate in range(num_candidates):
        ranks_best[candidate] = NONE if better[candidate] else ALL
    for group in range(blocks.pixels.size):
        if blocks.num_classes[group] != 2:
            continue
        gained[:], wins[:], lost, lost_to_best = 0, 0, 0, 0
        pixels, first_row = blocks.pixels[group], blocks.first_row[group]
        for block in range(blocks_for(pixels)):
            valid, row = first_bits(pixels - block * WORD_BITS), first_row + block
            tally[:] = NONE
            for index in range(candidates.size):
                add_votes(rows[row, candidates[index]], weights[index], tally)
            # Where the first class has more than half of the votes (rounded down), exactly that, or one more.
            above, equal, one_more = _compare(tally, half)
            best = rows[row, candidates[0]]
            first_wins = valid & (above if is_odd else above | (equal & best))
            wins[0] += population(first_wins)
            wins[1] += population(valid & ~first_wins)
            if num_candidates == 0:
                continue
            # Where one more vote takes the pixel to the first class, or away from it. One behind, a class comes to a
            # tie by it, and wins that if the best voter is for it: the best member, or a candidate that ranks above.
            gain, loss = valid & equal, valid & (one_more if is_odd else equal)
            gain, loss = (gain & best, loss & ~best) if is_odd else (gain & ~best, loss & best)
            gain_of_best, loss_of_best = NONE, NONE
            if is_odd:
                gain_of_best, loss_of_best = valid & equal & ~best, valid & one_more & best
            # Whoever votes for the first class does not take the pixels of `loss` from it: what it gains, less what a
            # vote for the other class takes from it, is one sum.
            lost += population(loss)
            lost_to_best += population(loss_of_best)
            either, either_of_best = gain | loss, gain_of_best | loss_of_best
            for candidate in range(num_candidates):
                winnable = either | (either_of_best & ranks_best[candidate])
                gained[candidate] += population(winnable & rows[row, candidate])
        for candidate in range(num_candidates):
            gained[candidate] -= lost + (lost_to_best if ranks_best[candidate] else 0)
        add_group(blocks, group, wins, net, counts, gains)


@inlined
def _compare(tally, half):  # pragma: no cover - compiled
    """Return where the number is above `half`, equal to it, and equal to half + 1."""
    above, equal, one_more = NONE, ALL, ALL
    for level in range(tally.size - 1, -1, -1):
        bits, wanted = tally[level], ALL if half >> level & 1 else NONE
        above |= equal & bits & ~wanted
        equal &= ~(bits ^ wanted)
        one_more &= ~(bits ^ (ALL if (half + 1) >> level & 1 else NONE))
    return above, equal, one_more
