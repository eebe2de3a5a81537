"""Other ways than the greedy one to search the sets of candidates for the one whose vote scores highest."""

from collections.abc import Callable, Iterable

import numpy as np

from ensembling.counting import VoteTable
from ensembling.scores import miou_from_counts
from ensembling.selection.ensemble_selection import (
    TIE,
    Found,
    Limits,
    add_greedily,
    add_with_replacement,
    best_beginning,
    found_without_path,
    greedy,
    highest,
    path_mious,
    rank_by_miou,
)
from ensembling.selection.exhaustive import exhaustive

BAGS = 20


def swap(table: VoteTable, limits: Limits) -> Found:
    """Drop, swap or add a member, whichever helps most, until none helps; from `start`, or else from greedy's answer.

    Ties go to a drop before a swap before an addition, then to the better rank of who leaves, then of who comes.
    """
    members = set(limits.first) if limits.start else set(greedy(table, limits).votes)
    miou = float(miou_from_counts(table.vote_counts(members)))
    while True:
        moves, mious = _moves(table, members, limits)
        if not moves or mious.max() <= miou + TIE:
            return found_without_path(table, dict.fromkeys(members, 1))
        best = highest(mious)
        members, miou = moves[best], float(mious[best])


def _moves(table: VoteTable, members: set[int], limits: Limits) -> tuple[list[set[int]], np.ndarray]:
    """Return the sets to which one move leads, drops first, and their mIoUs."""
    outside = [rank for rank in range(len(table.ranking)) if rank not in members]
    drops, swaps, additions = [], [], []
    for leaving in sorted(members.difference(limits.must_include)):
        kept = members - {leaving}
        mious = miou_from_counts(table.addition_counts(kept))
        if kept:
            drops.append((kept, mious[min(kept)]))  # a member is not added again: its row is the vote of the rest
        swaps += [(kept | {coming}, mious[coming]) for coming in outside]
    if len(members) < limits.max_members:
        mious = miou_from_counts(table.addition_counts(members))
        additions = [(members | {coming}, mious[coming]) for coming in outside]
    moves = drops + swaps + additions
    return [move for move, _ in moves], np.array([miou for _, miou in moves])


def beam(table: VoteTable, limits: Limits) -> Found:
    """Extend the `beam_width` best sets of each size as `greedy` does; ties go to the earlier set, then better rank."""
    first = limits.first
    best = (first, path_mious(table, first))
    paths = [best]
    while len(paths[0][0]) < min(limits.max_members, len(table.ranking)):
        longer: dict[frozenset[int], tuple[list[int], list[float]]] = {}
        for path, path_miou in paths:
            mious = miou_from_counts(table.addition_counts(path))
            for rank in range(len(table.ranking)):
                if rank not in path:
                    longer.setdefault(frozenset([*path, rank]), ([*path, rank], [*path_miou, float(mious[rank])]))
        grown = list(longer.values())
        order = rank_by_miou(np.array([path_miou[-1] for _, path_miou in grown]))
        paths = [grown[index] for index in order[: limits.beam_width]]
        if not best[1] or paths[0][1][-1] > best[1][-1] + TIE:
            best = paths[0]
    return Found(dict.fromkeys(sorted(best[0]), 1), *best)


def bagged_images(table: VoteTable, limits: Limits) -> Found:
    """Select greedily on each of `BAGS` bootstrap samples of the images; a candidate has a vote for each that chose it.

    The table's parts are the images. Those that count are drawn with replacement, as many as there are.
    """
    rng = np.random.default_rng(limits.seed)
    pool = range(len(table.ranking))
    paths = (add_greedily(table.resampled(rng), limits.first, limits.max_members, pool) for _ in range(BAGS))
    return _found_by_bags(table, limits, paths)


def bagged_runs(table: VoteTable, limits: Limits) -> Found:
    """Select greedily among each of `BAGS` random halves of the candidates; each gives a vote to those it chose."""
    rng = np.random.default_rng(limits.seed)
    candidates = len(table.ranking)
    halves = (rng.permutation(candidates)[: (candidates + 1) // 2].tolist() for _ in range(BAGS))
    pools = (sorted({*half, *limits.first}) for half in halves)
    return _found_by_bags(
        table, limits, (add_greedily(table, limits.first, limits.max_members, pool) for pool in pools)
    )


def _found_by_bags(table: VoteTable, limits: Limits, paths: Iterable[tuple[list[int], list[float]]]) -> Found:
    """Give each candidate a vote for each path whose best beginning has it; those with most votes are members."""
    votes = np.zeros(len(table.ranking), np.int64)
    for path, path_miou in paths:
        votes[best_beginning(path, path_miou, len(limits.first))] += 1
    most = np.argsort(-votes, kind="stable")[: limits.max_members]
    return found_without_path(table, {int(rank): int(votes[rank]) for rank in most if votes[rank]})


MODES: dict[str, Callable[[VoteTable, Limits], Found]] = {
    "greedy": greedy,
    "swap": swap,
    "beam": beam,
    "exhaustive": exhaustive,
    "bagged_images": bagged_images,
    "bagged_runs": bagged_runs,
    "replacement": add_with_replacement,
}
