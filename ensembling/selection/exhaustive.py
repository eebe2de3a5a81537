"""Every set of up to 16 candidates: the true optimum on the holdout, and the judge of the other searches.

With few candidates many pixels are alike. They are merged first, so that the 65,535 sets of 16 candidates vote on tens
of thousands of patterns instead of millions of pixels.
"""

import numpy as np

from ensembling.counting.blocks import COLUMN
from ensembling.counting.counting_singly import complete
from ensembling.counting.table import Chunk, Folds, VoteTable
from ensembling.counting.words import ABSTAIN, NONE, ONE, WORD_BITS, lowest_bit, population
from ensembling.kernels import compiled
from ensembling.scores import miou_from_counts
from ensembling.selection.modes import Found, Limits, as_found, highest

MOST_CANDIDATES = 16


def exhaustive(table: VoteTable, folds: Folds, limits: Limits) -> Found:
    """The set with the highest mIoU of all that keep to the limits; ties: fewer members, then the better ranks.

    Raises ValueError for more than 16 candidates.
    """
    check_number(len(table.ranking))
    sets = _sets_within(len(table.ranking), limits)
    best = int(sets[highest(miou_from_counts(set_counts(table, folds, sets)))])
    return as_found(table, folds, _ranks(best))


def check_number(candidates: int) -> None:
    """Raise ValueError where there are too many."""
    if candidates > MOST_CANDIDATES:
        raise ValueError(
            f"mode 'exhaustive' tries all sets of at most {MOST_CANDIDATES} candidates, but there are {candidates}: "
            "choose another mode, or give fewer candidates"
        )


def set_counts(table: VoteTable, folds: Folds, sets: np.ndarray) -> np.ndarray:
    """Counts of the vote of each of `sets`, uint64 (sets,) with a bit for each rank: int64 (sets, 3, num_classes)."""
    counts = np.zeros((2, table.num_classes, len(sets)), np.int64)
    for times, chunk in table.parts_of(folds):
        patterns, pixels = np.unique(_votes_of(chunk, len(table.ranking)), axis=0, return_counts=True)
        _count_patterns(patterns, times * pixels, sets, counts)
    agreed, labelled = table.fixed_counts(folds)
    counts = counts.transpose(2, 0, 1) + agreed
    return np.concatenate([counts, np.broadcast_to(labelled, (len(sets), 1, table.num_classes))], axis=1)


def _sets_within(candidates: int, limits: Limits) -> np.ndarray:
    """All sets that keep to the limits, as bits: small ones first, then by their ranks."""
    sets = np.arange(1, 1 << candidates, dtype=np.uint64)
    must = np.uint64(sum(1 << rank for rank in limits.must_include))
    sizes = np.bitwise_count(sets)
    kept = ((sets & must) == must) & (sizes <= limits.max_members)
    ordered = sorted(zip(sizes[kept].tolist(), sets[kept].tolist()), key=lambda pair: (pair[0], _ranks(pair[1])))
    return np.array([bits for _, bits in ordered], np.uint64)


def _ranks(bits: int) -> list[int]:
    return [rank for rank in range(MOST_CANDIDATES) if bits >> rank & 1]


def _votes_of(chunk: Chunk, candidates: int) -> np.ndarray:
    """Each disputed pixel's votes by rank, then its label (255: a class that nobody votes for): uint8 (pixels, …)."""
    votes = np.empty((chunk.disputed, candidates + 1), np.uint8)
    used = _write_blocks(chunk.groups, chunk.rows, chunk.slots, votes)
    everyone = np.array([(1 << candidates) - 1], np.uint64)
    return votes[: used + _write_singles(*chunk.singles, everyone, votes[used:])]


@compiled
def _write_blocks(groups, rows, slots, votes):  # pragma: no cover - compiled
    pixel, last = 0, votes.shape[1] - 1
    for group in range(groups.shape[0]):
        number, hit, row = groups[group, COLUMN.number], groups[group, COLUMN.hit], groups[group, COLUMN.first_row]
        first = groups[group, COLUMN.first_block]
        for block in range(first, first + groups[group, COLUMN.blocks]):
            for bit in range(WORD_BITS):
                if slots[block] >> np.uint64(bit) & ONE == NONE:
                    continue
                for candidate in range(last):
                    kind = 0
                    while kind < number - 1 and rows[row + kind, candidate] >> np.uint64(bit) & ONE == NONE:
                        kind += 1
                    votes[pixel, candidate] = groups[group, COLUMN.classes + kind]
                votes[pixel, last] = groups[group, COLUMN.classes + hit] if hit < number else ABSTAIN
                pixel += 1
            row += number - 1
    return pixel


@compiled
def _write_singles(labels, kinds, classes, voters, runs, everyone, votes):  # pragma: no cover - compiled
    masks = np.empty((256, 1), np.uint64)
    place, last = 0, votes.shape[1] - 1
    for run in range(runs.shape[0]):
        entry, row = runs[run, 2], runs[run, 2] - runs[run, 0]
        for pixel in range(runs[run, 0], runs[run, 1]):
            number = np.int64(kinds[pixel])
            complete(voters, row, number, everyone, masks)
            for kind in range(number):
                for candidate in range(last):
                    if masks[kind, 0] >> np.uint64(candidate) & ONE:
                        votes[place, candidate] = classes[entry + kind]
            votes[place, last] = labels[pixel]
            place += 1
            entry += number
            row += number - 1
    return place


@compiled
def _count_patterns(patterns, pixels, sets, counts):  # pragma: no cover - compiled
    classes, masks = np.empty(MOST_CANDIDATES, np.uint8), np.empty(MOST_CANDIDATES, np.uint64)
    for pattern in range(patterns.shape[0]):
        label = patterns[pattern, -1]
        kinds = 0
        for candidate in range(patterns.shape[1] - 1):
            vote = patterns[pattern, candidate]
            kind = 0
            while kind < kinds and classes[kind] != vote:
                kind += 1
            if vote == ABSTAIN:
                continue
            if kind == kinds:
                classes[kind], masks[kind] = vote, NONE
                kinds += 1
            masks[kind] |= ONE << np.uint64(candidate)
        for place in range(sets.size):
            best, winner = np.int64(0), np.uint8(0)
            for kind in range(kinds):
                voters = masks[kind] & sets[place]
                # Most votes first, then the better first voter.
                worth = (population(voters) << 8) - lowest_bit(voters) if voters != NONE else np.int64(0)
                if worth > best:
                    best, winner = worth, classes[kind]
            counts[1, winner, place] += pixels[pattern]
            if winner == label:
                counts[0, winner, place] += pixels[pattern]
