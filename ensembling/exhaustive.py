"""Every set of up to 16 candidates: the true optimum on the holdout, and the judge of the other searches.

With few candidates many pixels are alike. They are merged first, so that the 65,535 sets of 16 candidates vote on tens
of thousands of patterns instead of millions of pixels.
"""

import numpy as np

from ensembling.compiled import compiled, lowest_bit, population
from ensembling.counting import complete
from ensembling.packing import ABSTAIN, NONE, ONE
from ensembling.scores import miou_from_counts
from ensembling.search_modes import Found, Limits, as_found, highest
from ensembling.table import Chunk, Folds, VoteTable

MOST_CANDIDATES = 16


def exhaustive(table: VoteTable, folds: Folds, limits: Limits) -> Found:
    """The set with the highest mIoU of all that keep to the limits; ties: fewer members, then the better ranks.

    Raises ValueError for more than 16 candidates.
    """
    candidates = len(table.ranking)
    if candidates > MOST_CANDIDATES:
        raise ValueError(
            f"mode 'exhaustive' tries all sets of at most {MOST_CANDIDATES} candidates, but there are {candidates}: "
            "choose another mode, or give fewer candidates"
        )
    sets = _sets_within(candidates, limits)
    best = int(sets[highest(miou_from_counts(set_counts(table, folds, sets)))])
    return as_found(table, folds, _ranks(best))


def set_counts(table: VoteTable, folds: Folds, sets: np.ndarray) -> np.ndarray:
    """Counts of the vote of each of `sets`, uint64 (sets,) with a bit for each rank: int64 (sets, 3, num_classes)."""
    counts = np.zeros((2, table.num_classes, len(sets)), np.int64)
    for times, chunk in table.parts_of(folds):
        for patterns, pixels in (_merge_pairs(chunk, table), _merge_several(chunk, table)):
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


def _merge_pairs(chunk: Chunk, table: VoteTable) -> tuple[np.ndarray, np.ndarray]:
    """Patterns uint8 (patterns, candidates + 1) of votes and label (255: neither class), and the pixels of each."""
    pairs = [np.empty(0, np.int64)]
    for start, stop, key, _ in chunk.spans:
        pairs.append(key << MOST_CANDIDATES | chunk.pair_masks[0, start:stop].astype(np.int64))
    merged, pixels = np.unique(np.concatenate(pairs), return_counts=True)
    candidates = len(table.ranking)
    key = merged >> MOST_CANDIDATES
    lower, higher, kind = key // 3 // table.num_classes, key // 3 % table.num_classes, key % 3
    patterns = np.empty((len(merged), candidates + 1), np.uint8)
    patterns[:, :-1] = np.where(merged[:, None] >> np.arange(candidates) & 1, higher[:, None], lower[:, None])
    patterns[:, -1] = np.choose(kind, [lower, higher, np.full_like(lower, ABSTAIN)])
    return patterns, pixels


def _merge_several(chunk: Chunk, table: VoteTable) -> tuple[np.ndarray, np.ndarray]:
    candidates = len(table.ranking)
    patterns = np.empty((len(chunk.labels), candidates + 1), np.uint8)
    everyone = np.array([(1 << candidates) - 1], np.uint64)
    kept = _expand(chunk.labels, chunk.kinds, chunk.classes, chunk.voters, chunk.runs, everyone, patterns)
    return np.unique(patterns[:kept], axis=0, return_counts=True)


@compiled
def _expand(labels, kinds, classes, voters, runs, everyone, patterns):  # pragma: no cover - compiled
    masks = np.empty((256, 1), np.uint64)
    place = 0
    for run in range(runs.shape[0]):
        entry, row = runs[run, 2], runs[run, 2] - runs[run, 0]
        for pixel in range(runs[run, 0], runs[run, 1]):
            number = np.int64(kinds[pixel])
            complete(voters, row, number, everyone, masks)
            for kind in range(number):
                for candidate in range(patterns.shape[1] - 1):
                    if masks[kind, 0] >> np.uint64(candidate) & ONE:
                        patterns[place, candidate] = classes[entry + kind]
            patterns[place, -1] = labels[pixel]
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
