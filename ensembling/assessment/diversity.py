"""How much an ensemble's members differ, and what each contributes to their vote.

Pixels on which all members predict alike, with the same target, are one pattern that counts many times. Everything here
is computed from the patterns, of which there are far fewer than pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ensembling.assessment.top_k import count_growth
from ensembling.scores import miou_from_counts

ROUNDS = 20
BLOCK_PIXELS = 1 << 18
MERGED_PATTERNS = 4 * BLOCK_PIXELS  # columns of blocks, until they are merged
PAIRED_PATTERNS = 1 << 18  # at a time, in float64


@dataclass(frozen=True, eq=False)
class Patterns:
    """Distinct columns of the members' predictions and the target: `times[i]` pixels look like column i."""

    votes: np.ndarray
    """uint8 (members, patterns), in rank order; 255 for no vote."""
    target: np.ndarray
    """uint8 (patterns,)"""
    times: np.ndarray
    """int64 (patterns,)"""
    weights: np.ndarray
    """int64 (members,): how many votes each casts."""
    num_classes: int


@dataclass(frozen=True, eq=False)
class Diversity:
    """Members in rank order; all of it on the pixels that count. Matrices are float64 (members, members)."""

    disagreement: np.ndarray
    """Share of pixels on which two members predict different classes; 0 on the diagonal."""
    kappa: np.ndarray
    """Cohen's kappa of two members' classes: 1 where they agree always, 0 where no more often than by chance."""
    double_fault: np.ndarray
    """Share of pixels on which two members are both wrong; on the diagonal, on which one is."""
    leave_one_out: np.ndarray
    """What the vote's mIoU loses without the member, float64 (members,); NaN for the only one."""
    shapley: np.ndarray
    """The member's Shapley value, float64 (members,): they add up to the mIoU of the vote."""
    shapley_error: np.ndarray
    """Standard error of that, from sampling."""


def measure_diversity(
    rows: Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    *,
    weights: Sequence[int] | None = None,
    ignore_index: int = 255,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Diversity:
    """Measure how much the members' predictions differ, and what each contributes to their vote.

    Kappa is that of Margineantu and Dietterich, "Pruning Adaptive Boosting" (ICML 1997), double fault that of Giacinto
    and Roli, "Design of effective neural network ensembles" (2001). An abstention is no class, hence wrong.

    Args:
        rows: The members' predictions in rank order, uint8 (pixels,) each, 255 for an abstention.
        target: The masks, uint8 (pixels,).
        num_classes: The number of classes.
        weights: The number of votes of each member; one each unless given.
        ignore_index: Pixels with this target do not count.
        rounds: How many random orders of the members the Shapley values are estimated from.
        seed: Draws these orders.
    """
    patterns = find_patterns(rows, target, num_classes, weights=weights, ignore_index=ignore_index)
    shapley, error = shapley_values(patterns, rounds, seed)
    return Diversity(*_pairwise(patterns), leave_one_out(patterns), shapley, error)


def mean_disagreement(rows: Sequence[np.ndarray], target: np.ndarray, ignore_index: int = 255) -> float:
    """Return the share of pixels on which two of `rows`, uint8 (pixels,) each, differ: the mean over all pairs.

    It is taken at pixels whose target is not `ignore_index`. Raises ValueError for fewer than two rows.
    """
    if len(rows) < 2:
        raise ValueError(f"there are {len(rows)} rows, but diversity needs at least two")
    counted = max(1, np.count_nonzero(target != ignore_index))
    pairs = list(combinations(rows, 2))
    return (
        sum(np.count_nonzero((one != other) & (target != ignore_index)) for one, other in pairs) / counted / len(pairs)
    )


def find_patterns(
    rows: Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    *,
    weights: Sequence[int] | None = None,
    ignore_index: int = 255,
) -> Patterns:
    """Return the patterns of the pixels that count, in one stream over blocks of pixels.

    Args:
        rows: The members' predictions in rank order, uint8 (pixels,) each.
        target: The masks, uint8 (pixels,).
        num_classes: The number of classes.
        weights: The number of votes of each member; one each unless given.
        ignore_index: Pixels with this target do not count.
    """
    columns, times = np.empty((len(rows) + 1, 0), np.uint8), np.empty(0, np.int64)
    most = MERGED_PATTERNS
    for start in range(0, len(target), BLOCK_PIXELS):
        block = slice(start, start + BLOCK_PIXELS)
        labels = np.asarray(target[block])
        counted = labels != ignore_index
        found = _merge(np.stack([labels, *(row[block] for row in rows)])[:, counted], None, num_classes)
        columns = np.concatenate([columns, found[0]], axis=1)
        times = np.concatenate([times, found[1]])
        if columns.shape[1] > most:
            columns, times = _merge(columns, times, num_classes)
            most = max(most, 2 * columns.shape[1])  # or a growing number is merged at every block
    columns, times = _merge(columns, times, num_classes)
    votes_cast = np.ones(len(rows), np.int64) if weights is None else np.asarray(weights, np.int64)
    return Patterns(columns[1:], columns[0], times, votes_cast, num_classes)


def _merge(columns: np.ndarray, times: np.ndarray | None, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct columns and how often each occurs, weighted by `times`."""
    key, kinds = np.zeros(columns.shape[1], np.uint64), 1
    for row in columns:
        if kinds * (num_classes + 1) >= 1 << 64:  # one more digit would not fit: number the keys anew
            distinct, key = np.unique(key, return_inverse=True)
            key, kinds = key.astype(np.uint64), len(distinct)
        key = key * np.uint64(num_classes + 1) + np.minimum(row, num_classes)
        kinds *= num_classes + 1
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    # Sums of pixels are exact in float64 below 2**53.
    return columns[:, first], np.bincount(inverse, weights=times, minlength=len(first)).astype(np.int64)


def leave_one_out(patterns: Patterns) -> np.ndarray:
    """Return what the mIoU of all members' vote loses without each of them: float64 (members,)."""
    members = np.arange(len(patterns.votes))
    whole = _growth(patterns, members)[-1]
    if len(members) == 1:
        return np.full(1, np.nan)
    return np.array([whole - _growth(patterns, np.delete(members, member))[-1] for member in members])


def shapley_values(patterns: Patterns, rounds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Shapley values of the members in the game of the vote's mIoU (no member: 0), and standard errors.

    A value is the mean gain when the member joins those before it, over random orders: Castro et al., "Polynomial
    calculation of the Shapley value based on sampling" (2009). Whoever joins, ties are still decided by rank. Each
    round is a random order and all its rotations, so that every member joins at every position once: most of a gain
    depends on the position.
    """
    members = len(patterns.votes)
    rng = np.random.default_rng(seed)
    gains = np.zeros((rounds, members))
    for gain in gains:
        order = rng.permutation(members)
        for turned in (np.roll(order, -turn) for turn in range(members)):
            gain[turned] += np.diff(_growth(patterns, turned), prepend=0.0) / members
    return gains.mean(axis=0), gains.std(axis=0, ddof=1) / np.sqrt(rounds)


def _growth(patterns: Patterns, order: np.ndarray) -> np.ndarray:
    """Return the mIoU of the vote as members join in this order: float64 (len(order),)."""
    changes = np.zeros((len(order), 2, patterns.num_classes), np.int64)
    count_growth(patterns.votes, patterns.weights, patterns.target, patterns.times, order, changes)
    labelled = np.bincount(patterns.target, weights=patterns.times, minlength=patterns.num_classes).astype(np.int64)
    grown = np.cumsum(changes, axis=0)
    labelled = np.broadcast_to(labelled, (len(order), 1, patterns.num_classes))
    return miou_from_counts(np.concatenate([grown, labelled], axis=1))


def _pairwise(patterns: Patterns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return disagreement, kappa and double fault."""
    members, kinds = len(patterns.votes), patterns.num_classes + 1
    double_fault, disagreement, shares = np.zeros((members,) * 2), np.zeros((members,) * 2), np.zeros((members, kinds))
    for start in range(0, len(patterns.times), PAIRED_PATTERNS):
        part = slice(start, start + PAIRED_PATTERNS)
        votes, times = patterns.votes[:, part], patterns.times[part].astype(np.float64)
        wrong = (votes != patterns.target[part]).astype(np.float64)
        double_fault += (wrong * times) @ wrong.T
        for row, one in enumerate(votes):
            disagreement[row] += (votes != one) @ times
            shares[row] += np.bincount(np.minimum(one, patterns.num_classes), weights=times, minlength=kinds)
    total = max(1, int(patterns.times.sum()))
    double_fault, disagreement, shares = double_fault / total, disagreement / total, shares / total
    by_chance = shares @ shares.T
    # Two members that predict one class alone agree always, and by chance as well.
    kappa = 1 - np.divide(disagreement, 1 - by_chance, out=np.zeros_like(disagreement), where=by_chance < 1)
    return disagreement, kappa, double_fault
