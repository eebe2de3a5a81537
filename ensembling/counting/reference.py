"""The count as one would write it down: pixel by pixel, on class maps that are not packed.

This is the statement of what the packed kernels compute; the tests hold them against it. It also counts those few
disputed pixels that no block takes: where a candidate abstains, or more classes meet than a group has.
"""

import numpy as np

from ensembling.kernels import compiled
from ensembling.vote import ABSTAIN


@compiled
def count_plainly(votes, target, ranking, weights, repeat, counts, additions):  # pragma: no cover - compiled
    """Count the members' vote, and the vote that it becomes when one candidate casts one vote more.

    Args:
        votes: uint8 (candidates, pixels), class ids, or 255 where a candidate abstains.
        target: uint8 (pixels,); an id that is no class is never hit.
        ranking: int64 (candidates,), the candidates from best to worst.
        weights: int64 (candidates,), how many votes each candidate casts: 0 unless it is a member.
        repeat: whether a member may cast one vote more; otherwise the vote stays as it is for a member.
        counts: int64 (2, classes); the hits and predicted pixels of the members' vote are added to it.
        additions: int64 (candidates, 2, classes); likewise for the vote with one more vote of each candidate.
    """
    tally, best_voter = np.empty(counts.shape[1], np.int64), np.empty(counts.shape[1], np.int64)
    for pixel in range(target.size):
        tally[:], best_voter[:] = 0, ranking.size
        for rank in range(ranking.size):
            vote, weight = votes[ranking[rank], pixel], weights[ranking[rank]]
            if vote != ABSTAIN and weight > 0:
                tally[vote] += weight
                best_voter[vote] = min(best_voter[vote], rank)
        winner = 0
        for rival in range(1, tally.size):
            if _beats(tally[rival], best_voter[rival], tally[winner], best_voter[winner]):
                winner = rival
        _add_pixel(winner, target[pixel], counts)
        for rank in range(ranking.size if additions.size else 0):
            candidate, outcome = ranking[rank], winner
            vote = np.int64(votes[candidate, pixel])
            if vote != ABSTAIN and (repeat or weights[candidate] == 0):
                best = min(best_voter[vote], rank)
                if _beats(tally[vote] + 1, best, tally[winner], best_voter[winner]):
                    outcome = vote
            _add_pixel(outcome, target[pixel], additions[candidate])


@compiled
def _beats(votes, best_voter, other_votes, other_best_voter):  # pragma: no cover - compiled
    """Return whether a class wins over another: by more votes, or by as many and a better ranked voter."""
    return votes > other_votes or (votes == other_votes and best_voter < other_best_voter)


@compiled
def _add_pixel(winner, target, counts):  # pragma: no cover - compiled
    counts[1, winner] += 1
    if winner == target:
        counts[0, winner] += 1
