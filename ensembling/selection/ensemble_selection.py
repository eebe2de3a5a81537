"""Ensemble selection of Caruana et al., "Ensemble Selection from Libraries of Models" (ICML 2004), for a hard vote.

Start with the best candidate, and add at each step the one with which the vote scores highest. Two members vote exactly
as the better one alone, so that a path which stopped at the first step without gain would never reach a third member:
here it runs on to `max_members`, and the answer is the shortest beginning of the path that attains its highest mIoU.

Every search takes a table whose candidates are ranked, and names them by their ranks. A difference in mIoU of up to
1e-12 is a tie: values that are equal may differ in their last bits by the order in which classes are summed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.counting import VoteTable
from ensembling.scores import miou_from_counts

TIE = 1e-12


@dataclass(frozen=True)
class Limits:
    """What a search must keep to; candidates are named by rank.

    The members in `must_include` stay. Those in `start` begin every path as well, but swaps may drop them.
    """

    max_members: int
    must_include: tuple[int, ...] = ()
    start: tuple[int, ...] = ()
    beam_width: int = 8
    seed: int = 0

    @property
    def first(self) -> list[int]:
        """Return the members with which a path begins, by rank."""
        return sorted({*self.must_include, *self.start})


@dataclass(frozen=True)
class Found:
    """What a search chose; candidates are named by rank."""

    votes: dict[int, int]
    """How many votes each member has."""
    path: list[int]
    """The candidates in the order in which they were added; a beginning of it are the members."""
    path_miou: list[float]
    """The mIoU of the vote after each step of the path."""


def greedy(table: VoteTable, limits: Limits) -> Found:
    """Add the best candidate until there are `max_members`, and choose the shortest best beginning of that path."""
    path, path_miou = add_greedily(table, limits.first, limits.max_members, range(len(table.ranking)))
    members = best_beginning(path, path_miou, len(limits.first))
    return Found(dict.fromkeys(sorted(members), 1), path, path_miou)


def add_greedily(
    table: VoteTable, first: Sequence[int], max_members: int, pool: Sequence[int]
) -> tuple[list[int], list[float]]:
    """Add the best candidate again and again, even where the mIoU falls by it. Ties go to the better rank.

    Args:
        table: The table of the candidates.
        first: The members with which the path begins, by rank.
        max_members: The number of members at the path's end.
        pool: The candidates that may be added, by rank.

    Returns:
        The path, and the mIoU at each step.
    """
    path, path_miou = list(first), path_mious(table, first)
    while len(path) < max_members and not set(pool) <= set(path):
        open_candidates = np.array([rank for rank in pool if rank not in path])
        mious = miou_from_counts(table.addition_counts(path)[open_candidates])
        best = highest(mious)
        path.append(int(open_candidates[best]))
        path_miou.append(float(mious[best]))
    return path, path_miou


def add_with_replacement(table: VoteTable, limits: Limits) -> Found:
    """Add the best candidate as in `greedy`, where a member may be added again and so gets several votes.

    `max_members` bounds the votes. Ties go to the candidate with the fewest votes so far, then to the better rank: one
    that is added again often changes nothing, so that ties by rank alone would add the best one for ever.
    """
    path, path_miou = list(limits.first), path_mious(table, limits.first)
    while len(path) < limits.max_members:
        votes = np.bincount(path, minlength=len(table.ranking))
        members = {int(rank): int(votes[rank]) for rank in np.flatnonzero(votes)}
        mious = miou_from_counts(table.addition_counts(members, repeat=True))
        tied = np.flatnonzero(mious >= mious.max() - TIE)
        path.append(int(tied[np.argmin(votes[tied])]))
        path_miou.append(float(mious[path[-1]]))
    chosen = best_beginning(path, path_miou, len(limits.first))
    return Found({rank: chosen.count(rank) for rank in sorted(set(chosen))}, path, path_miou)


def best_beginning(path: Sequence[int], path_miou: Sequence[float], least: int = 1) -> list[int]:
    """Return the shortest beginning of `path`, of `least` steps or more, that attains the highest mIoU of these."""
    least = max(1, least)
    return list(path[: least + highest(path_miou[least - 1 :])])


def path_mious(table: VoteTable, path: Sequence[int]) -> list[float]:
    """Return the mIoU of the vote after each step of `path`; a candidate that is in it twice has two votes."""
    votes: dict[int, int] = {}
    mious = []
    for rank in path:
        votes[rank] = votes.get(rank, 0) + 1
        mious.append(float(miou_from_counts(table.vote_counts(votes))))
    return mious


def found_without_path(table: VoteTable, votes: dict[int, int]) -> Found:
    """Return a set to which no path led: its path adds the members by rank, each with all its votes."""
    votes = dict(sorted(votes.items()))
    beginnings = [dict(list(votes.items())[: size + 1]) for size in range(len(votes))]
    mious = [float(miou_from_counts(table.vote_counts(beginning))) for beginning in beginnings]
    return Found(votes, list(votes), mious)


def highest(mious: Sequence[float] | np.ndarray) -> int:
    """Return the index of the first mIoU that ties with the highest."""
    mious = np.asarray(mious)
    return int(np.argmax(mious >= mious.max() - TIE))


def rank_by_miou(mious: np.ndarray) -> list[int]:
    """Return the indices by descending mIoU, ties by lower index; what lies within 1e-12 of its neighbour ties."""
    descending = np.argsort(-mious, kind="stable")
    is_new = np.diff(mious[descending], prepend=np.inf) < -TIE
    tie_group = np.cumsum(is_new)
    return [int(index) for index in descending[np.lexsort((descending, tie_group))]]
