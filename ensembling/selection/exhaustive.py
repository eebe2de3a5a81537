"""Every set of up to 16 candidates: the true optimum on the holdout, and the judge of the other searches."""

import numpy as np

from ensembling.counting import VoteTable
from ensembling.scores import miou_from_counts
from ensembling.selection.ensemble_selection import Found, Limits, found_without_path, highest

MOST_CANDIDATES = 16


def exhaustive(table: VoteTable, limits: Limits) -> Found:
    """Find the set with the highest mIoU of all that keep to the limits; ties: fewer members, then the better ranks.

    Raises ValueError for more than 16 candidates.
    """
    check_number(len(table.ranking))
    sets = _sets_within(len(table.ranking), limits)
    best = int(sets[highest(miou_from_counts(table.set_counts(sets)))])
    return found_without_path(table, dict.fromkeys(_ranks(best), 1))


def check_number(candidates: int) -> None:
    """Raise ValueError where there are too many candidates to try all of their sets."""
    if candidates > MOST_CANDIDATES:
        raise ValueError(
            f"mode 'exhaustive' tries all sets of at most {MOST_CANDIDATES} candidates, but there are {candidates}: "
            "choose another mode, or give fewer candidates"
        )


def _sets_within(candidates: int, limits: Limits) -> np.ndarray:
    """Return all sets that keep to the limits, uint64 of a bit a rank: small ones first, then by their ranks."""
    sets = np.arange(1, 1 << candidates, dtype=np.uint64)
    must_include = np.uint64(sum(1 << rank for rank in limits.must_include))
    sizes = np.bitwise_count(sets)
    kept = ((sets & must_include) == must_include) & (sizes <= limits.max_members)
    ordered = sorted(zip(sizes[kept].tolist(), sets[kept].tolist()), key=lambda pair: (pair[0], _ranks(pair[1])))
    return np.array([bits for _, bits in ordered], np.uint64)


def _ranks(bits: int) -> list[int]:
    return [rank for rank in range(MOST_CANDIDATES) if bits >> rank & 1]
