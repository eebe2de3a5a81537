"""Ways to search the sets of candidates for the one whose vote scores highest; all but `exhaustive`, which has a file.

Every search takes a ranked table, the folds to look at and limits, and answers in ranks. A difference up to 1e-12 is a
tie: mIoUs that are equal may differ in their last bits by the order in which classes are summed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.counting.table import Bag, Folds, VoteTable
from ensembling.scores import miou_from_counts

TIE = 1e-12
BAGS = 20


@dataclass(frozen=True)
class Limits:
    """What a search must keep to. `must_include` and `start` hold ranks; `start` may be left again, by swaps."""

    max_members: int
    must_include: tuple[int, ...] = ()
    start: tuple[int, ...] = ()
    beam_width: int = 8
    seed: int = 0

    @property
    def first(self) -> list[int]:
        """With whom a path begins, by rank."""
        return sorted({*self.must_include, *self.start})


@dataclass(frozen=True)
class Found:
    """`votes` has the number of votes of each member; `path` the ranks in the order added, of which a prefix votes."""

    votes: dict[int, int]
    path: list[int]
    path_miou: list[float]


def highest(scores: Sequence[float] | np.ndarray) -> int:
    """Place of the first score that ties with the highest."""
    scores = np.asarray(scores)
    return int(np.argmax(scores >= scores.max() - TIE))


def rank_by_score(scores: np.ndarray) -> list[int]:
    """Indices by descending score, ties by lower index. What lies within 1e-12 of its neighbour ties with it."""
    descending = np.argsort(-scores, kind="stable")
    is_new = np.diff(scores[descending], prepend=np.inf) < -TIE
    tie_group = np.cumsum(is_new)
    return [int(index) for index in descending[np.lexsort((descending, tie_group))]]


def best_prefix(path: Sequence[int], path_miou: Sequence[float], least: int = 1) -> list[int]:
    """The shortest prefix of `path`, of `least` or more, that attains the highest mIoU of those."""
    least = max(1, least)
    return list(path[: least + highest(path_miou[least - 1 :])])


def greedy(table: VoteTable, folds: Folds, limits: Limits) -> Found:
    """Forward selection to `max_members`, also where a step loses, and of its path the shortest best prefix.

    Two members vote as the better one alone, so that a path that stops without gain would never reach three.
    """
    path, path_miou = grow(table, folds, limits.first, limits.max_members, range(len(table.ranking)))
    return Found(dict.fromkeys(sorted(best_prefix(path, path_miou, len(limits.first))), 1), path, path_miou)


def grow(
    table: VoteTable, folds: Folds, first: Sequence[int], max_members: int, pool: Sequence[int]
) -> tuple[list[int], list[float]]:
    """Add the best of `pool` to `first` until there are `max_members`: the path, and the mIoU after each step."""
    path, path_miou = list(first), path_scores(table, folds, first)
    while len(path) < max_members and not set(pool) <= set(path):
        scores = np.full(len(table.ranking), -np.inf)
        scores[list(pool)] = miou_from_counts(table.addition_counts(path, folds))[list(pool)]
        scores[path] = -np.inf
        path.append(highest(scores))
        path_miou.append(float(scores[path[-1]]))
    return path, path_miou


def path_scores(table: VoteTable, folds: Folds, path: Sequence[int]) -> list[float]:
    """mIoU of the vote of each prefix of `path`, in which a rank may return for one more vote."""
    votes: dict[int, int] = {}
    scores = []
    for rank in path:
        votes[rank] = votes.get(rank, 0) + 1
        scores.append(float(miou_from_counts(table.vote_counts(votes, folds))))
    return scores


def replacement(table: VoteTable, folds: Folds, limits: Limits) -> Found:
    """Greedy, where a candidate may get several votes (Caruana et al., "Ensemble Selection", ICML 2004).

    `max_members` bounds the votes. Ties go to the candidate with the fewest votes so far, then to the better rank: one
    that is added again often changes nothing, so that ties by rank alone would add the best for ever.
    """
    path, path_miou = list(limits.first), path_scores(table, folds, limits.first)
    while len(path) < limits.max_members:
        votes = np.bincount(path, minlength=len(table.ranking))
        members = {int(rank): int(votes[rank]) for rank in np.flatnonzero(votes)}
        scores = miou_from_counts(table.addition_counts(members, folds, repeat=True))
        tied = np.flatnonzero(scores >= scores.max() - TIE)
        path.append(int(tied[np.argmin(votes[tied])]))
        path_miou.append(float(scores[path[-1]]))
    chosen = best_prefix(path, path_miou, len(limits.first))
    return Found({rank: chosen.count(rank) for rank in sorted(set(chosen))}, path, path_miou)


def swap(table: VoteTable, folds: Folds, limits: Limits) -> Found:
    """Drop, swap or add a member, whichever helps most, until none helps; from `start`, or else from greedy's answer.

    Ties go to a drop before a swap before an addition, then to the better rank of who leaves, then of who comes.
    """
    members = set(limits.first) if limits.start else set(greedy(table, folds, limits).votes)
    score = float(miou_from_counts(table.vote_counts(members, folds)))
    while True:
        moves, scores = _moves(table, folds, members, limits)
        if not moves or scores.max() <= score + TIE:
            return as_found(table, folds, members)
        best = highest(scores)
        members, score = moves[best], float(scores[best])


def _moves(table: VoteTable, folds: Folds, members: set[int], limits: Limits) -> tuple[list[set[int]], np.ndarray]:
    """The sets that one move leads to, drops first, and their mIoUs."""
    outside = [rank for rank in range(len(table.ranking)) if rank not in members]
    drops, swaps, additions = [], [], []
    for leaving in sorted(members.difference(limits.must_include)):
        kept = members - {leaving}
        scores = miou_from_counts(table.addition_counts(kept, folds))
        if kept:
            drops.append((kept, scores[min(kept)]))  # a member is not added again: its row is the vote of the rest
        swaps += [(kept | {coming}, scores[coming]) for coming in outside]
    if len(members) < limits.max_members:
        scores = miou_from_counts(table.addition_counts(members, folds))
        additions = [(members | {coming}, scores[coming]) for coming in outside]
    moves = drops + swaps + additions
    return [move for move, _ in moves], np.array([score for _, score in moves])


def beam(table: VoteTable, folds: Folds, limits: Limits) -> Found:
    """Greedy that goes on with the `beam_width` best sets of each size; ties: earlier set, then better rank."""
    first = limits.first
    best = (first, path_scores(table, folds, first))
    paths = [best]
    while len(paths[0][0]) < min(limits.max_members, len(table.ranking)):
        longer: dict[frozenset[int], tuple[list[int], list[float]]] = {}
        for path, path_miou in paths:
            scores = miou_from_counts(table.addition_counts(path, folds))
            for rank in range(len(table.ranking)):
                if rank not in path:
                    longer.setdefault(frozenset([*path, rank]), ([*path, rank], [*path_miou, float(scores[rank])]))
        grown = list(longer.values())
        order = rank_by_score(np.array([path_miou[-1] for _, path_miou in grown]))
        paths = [grown[place] for place in order[: limits.beam_width]]
        if not best[1] or paths[0][1][-1] > best[1][-1] + TIE:
            best = paths[0]
    return Found(dict.fromkeys(sorted(best[0]), 1), *best)


def bagged_images(table: VoteTable, folds: Folds, limits: Limits) -> Found:
    """Greedy on each of `BAGS` bootstrap samples of the images; a candidate has a vote for each that chose it.

    The table's parts are the images. Those of `folds` are drawn with replacement, as many as there are.
    """
    rng = np.random.default_rng(limits.seed)
    images = np.flatnonzero(np.isin(table.fold_of_part, list(folds)))
    bags = [rng.choice(images, len(images)) if len(images) else images for _ in range(BAGS)]
    pool = range(len(table.ranking))
    parts = len(table.fold_of_part)
    return _bag(table, folds, limits, [(Bag(np.bincount(bag, minlength=parts)), pool) for bag in bags])


def bagged_runs(table: VoteTable, folds: Folds, limits: Limits) -> Found:
    """Greedy among each of `BAGS` random halves of the candidates; each gives who is chosen a vote."""
    rng = np.random.default_rng(limits.seed)
    candidates = len(table.ranking)
    halves = [rng.permutation(candidates)[: (candidates + 1) // 2] for _ in range(BAGS)]
    return _bag(table, folds, limits, [(folds, sorted({*map(int, half), *limits.first})) for half in halves])


def _bag(table: VoteTable, folds: Folds, limits: Limits, bags: list[tuple[Folds, Sequence[int]]]) -> Found:
    chosen = np.zeros(len(table.ranking), np.int64)
    for bag, pool in bags:
        path, path_miou = grow(table, bag, limits.first, limits.max_members, pool)
        chosen[best_prefix(path, path_miou, len(limits.first))] += 1
    most = np.argsort(-chosen, kind="stable")[: limits.max_members]
    votes = {int(rank): int(chosen[rank]) for rank in sorted(most) if chosen[rank]}
    return as_found(table, folds, votes)


def as_found(table: VoteTable, folds: Folds, votes: Sequence[int] | dict[int, int]) -> Found:
    """A set that no path led to: its path adds the members, with all their votes, by rank."""
    votes = votes if isinstance(votes, dict) else dict.fromkeys(votes, 1)
    votes = {rank: votes[rank] for rank in sorted(votes)}
    prefixes = [dict(list(votes.items())[: size + 1]) for size in range(len(votes))]
    scores = [float(miou_from_counts(table.vote_counts(prefix, folds))) for prefix in prefixes]
    return Found(votes, list(votes), scores)


Search = Callable[[VoteTable, Folds, Limits], Found]
