"""The table on which votes are counted: what is left of the candidates' class maps once all else is folded away.

Pixels on which all candidates agree add the same counts to every vote and are only counted. A disputed pixel keeps its
target and, for each class that any candidate predicts there, one bit mask of those candidates, bit position = rank.
The votes of a class are then the population count of mask & members, and the tie rule compares lowest set bits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.compiled import compiled
from ensembling.vote import ABSTAIN, check_class_ids

WORD_BITS = 64
NEVER = np.int64(1 << 62)
ONE = np.uint64(1)
NONE = np.uint64(0)


@dataclass(frozen=True)
class Chunk:
    """Disputed pixels of one fold: `kinds[i]` entries of `classes` and `masks` belong to pixel i, in order."""

    fold: int
    target: np.ndarray  # uint8 (pixels,)
    kinds: np.ndarray  # uint8 (pixels,), how many classes are predicted there
    classes: np.ndarray  # uint8 (entries,)
    masks: np.ndarray  # uint64 (entries, words)


class VoteTable:
    """Counts the vote of any set of candidates, over any of the folds.

    Candidates are spoken of by rank: `ranking[rank]` is the candidate's index, at first rank = index, changed by
    `rerank`. Counts are int64 (..., 3, num_classes): hits, predicted and labelled pixels (see scores).
    """

    def __init__(self, num_candidates: int, num_classes: int, num_folds: int) -> None:
        self.ranking = tuple(range(num_candidates))
        self.num_classes = num_classes
        self.num_folds = num_folds
        self.chunks: list[Chunk] = []
        self.labelled = np.zeros((num_folds, num_classes), np.int64)
        self.agreed = np.zeros((num_folds, 2, num_classes), np.int64)

    def vote_counts(self, members: Iterable[int], folds: Iterable[int]) -> np.ndarray:
        """Counts of the members' vote on the pixels of `folds`: (3, num_classes)."""
        return self._count(members, folds, additions=False)[0]

    def addition_counts(self, members: Iterable[int], folds: Iterable[int]) -> np.ndarray:
        """Counts of the vote with each candidate added to `members`: (candidates, 3, num_classes), by rank.

        The row of a candidate that is a member already is the vote of `members` itself.
        """
        return self._count(members, folds, additions=True)[1:]

    def _count(self, members: Iterable[int], folds: Iterable[int], *, additions: bool) -> np.ndarray:
        """Counts (1 + candidates, 3, num_classes): of the members' vote, then with each candidate added."""
        folds = list(folds)
        num_candidates = len(self.ranking)
        base = self.agreed[folds].sum(axis=0)
        gains = np.zeros((num_candidates if additions else 0, 2, self.num_classes), np.int64)
        member_mask = _mask_of(members, num_candidates)
        for chunk in self.chunks:
            if chunk.fold in folds:
                _count_votes(chunk.target, chunk.kinds, chunk.classes, chunk.masks, member_mask, base, gains)
        counts = np.empty((1 + len(gains), 3, self.num_classes), np.int64)
        counts[0, :2] = base
        counts[1:, :2] = base + gains
        counts[:, 2] = self.labelled[folds].sum(axis=0)
        return counts

    def rerank(self, ranking: Sequence[int]) -> None:
        """Give the candidates new ranks: `ranking` holds their indices, best first. The masks change in place."""
        new_rank = {candidate: rank for rank, candidate in enumerate(ranking)}
        moves = np.array([new_rank[candidate] for candidate in self.ranking], np.int64)
        self.ranking = tuple(int(candidate) for candidate in ranking)
        if np.array_equal(moves, np.arange(len(moves))):
            return
        moved_bytes = _moved_bytes(moves)
        for chunk in self.chunks:
            _move_bits(chunk.masks, moved_bytes)


def build_table(
    rows: Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    *,
    ignore_index: int = 255,
    fold_of_pixel: np.ndarray | None = None,
    num_folds: int = 1,
    block_pixels: int | None = None,
) -> VoteTable:
    """The table of candidates' predictions `rows` (each uint8 (pixels,)) on `target` uint8 (pixels,), in one stream.

    `fold_of_pixel` uint8 (pixels,) counts from 0. Pixels whose target is `ignore_index` are left out. `block_pixels`
    bounds the memory beside the table and changes no count. Raises ValueError where a class id is not below
    `num_classes`.
    """
    block_pixels = block_pixels or max(1024, min(1 << 15, (1 << 20) // len(rows)))
    table = VoteTable(len(rows), num_classes, num_folds)
    scratch = _Scratch(len(rows), num_classes, min(block_pixels, len(target)))
    for start in range(0, len(target), block_pixels):
        block = slice(start, start + block_pixels)
        labels = np.asarray(target[block])
        counted = labels != ignore_index
        _check_target(labels, counted, num_classes, ignore_index, start)
        scratch.fill(rows, start, len(labels), num_classes)
        folds = np.zeros(len(labels), np.uint8) if fold_of_pixel is None else fold_of_pixel[block]
        for fold in np.unique(folds):
            _add_pixels(table, int(fold), labels, counted & (folds == fold), scratch)
    return table


def _check_target(labels: np.ndarray, counted: np.ndarray, num_classes: int, ignore_index: int, start: int) -> None:
    wrong = counted & (labels >= num_classes)
    if wrong.any():
        pixel = int(np.argmax(wrong))
        raise ValueError(
            f"target: class id {labels[pixel]} at pixel {start + pixel}, but num_classes is {num_classes}: "
            f"ids must be 0 to {num_classes - 1}, or ignore_index ({ignore_index})"
        )


class _Scratch:
    """Buffers used anew for each block: the candidates' pixels side by side, and room for the worst case's masks."""

    def __init__(self, num_candidates: int, num_classes: int, pixels: int) -> None:
        entries = pixels * min(num_candidates, num_classes)
        # A row length that is no power of two keeps the rows of one column out of the same cache set.
        self.tile = np.empty((num_candidates, pixels + 64), np.uint8)
        self.disputed = np.empty(pixels, np.bool_)
        self.kinds = np.empty(pixels, np.uint8)
        self.classes = np.empty(entries, np.uint8)
        self.masks = np.empty((entries, -(-num_candidates // WORD_BITS)), np.uint64)

    def fill(self, rows: Sequence[np.ndarray], start: int, pixels: int, num_classes: int) -> None:
        for candidate, row in enumerate(rows):
            part = self.tile[candidate, :pixels]
            np.copyto(part, row[start : start + pixels])
            check_class_ids(part, num_classes, f"predictions of candidate {candidate}", start)
        _find_disputed(self.tile, self.disputed[:pixels])


def _add_pixels(table: VoteTable, fold: int, labels: np.ndarray, chosen: np.ndarray, scratch: _Scratch) -> None:
    disputed = scratch.disputed[: len(labels)]
    _count_agreed(scratch.tile[0], labels, chosen & ~disputed, table.agreed[fold])
    where = np.flatnonzero(chosen & disputed)
    table.labelled[fold] += np.bincount(labels[chosen], minlength=table.num_classes)
    if len(where) == 0:
        return
    entries = _mask_disputed(scratch.tile, where, scratch.kinds, scratch.classes, scratch.masks)
    parts = (scratch.kinds[: len(where)], scratch.classes[:entries], scratch.masks[:entries])
    table.chunks.append(Chunk(fold, labels[where], *(part.copy() for part in parts)))


def _mask_of(ranks: Iterable[int], num_candidates: int) -> np.ndarray:
    words = np.zeros(-(-num_candidates // WORD_BITS), np.uint64)
    for rank in ranks:
        words[rank // WORD_BITS] |= ONE << np.uint64(rank % WORD_BITS)
    return words


def _moved_bytes(moves: np.ndarray) -> np.ndarray:
    """Where the bits of each byte of a mask go when bit i moves to bit moves[i]: uint64 (bytes, 256, words)."""
    num_bytes = -(-len(moves) // 8)
    moved = np.zeros((num_bytes, 256, -(-len(moves) // WORD_BITS)), np.uint64)
    values = np.arange(256, dtype=np.uint64)
    for bit, new in enumerate(moves):
        is_set = (values >> np.uint64(bit % 8)) & ONE
        moved[bit // 8, :, new // WORD_BITS] |= is_set << np.uint64(new % WORD_BITS)
    return moved


@compiled
def _find_disputed(tile, disputed):  # pragma: no cover - compiled
    disputed[:] = False
    for candidate in range(1, tile.shape[0]):
        for pixel in range(disputed.size):
            disputed[pixel] |= tile[candidate, pixel] != tile[0, pixel]


@compiled
def _count_agreed(prediction, target, chosen, agreed):  # pragma: no cover - compiled
    for pixel in range(target.size):
        if chosen[pixel]:
            winner = prediction[pixel] if prediction[pixel] != ABSTAIN else np.uint8(0)
            agreed[1, winner] += 1
            if winner == target[pixel]:
                agreed[0, winner] += 1


@compiled
def _mask_disputed(tile, where, kinds, classes, masks):  # pragma: no cover - compiled
    slots = np.full(256, -1, np.int64)
    entries = 0
    for place in range(where.size):
        first = entries
        for candidate in range(tile.shape[0]):
            vote = tile[candidate, where[place]]
            if vote == ABSTAIN:
                continue
            if slots[vote] < 0:
                slots[vote] = entries
                classes[entries] = vote
                masks[entries, :] = NONE
                entries += 1
            masks[slots[vote], candidate // WORD_BITS] |= ONE << np.uint64(candidate % WORD_BITS)
        for entry in range(first, entries):
            slots[classes[entry]] = -1
        kinds[place] = entries - first
    return entries


@compiled
def _move_bits(masks, moved_bytes):  # pragma: no cover - compiled
    words = masks.shape[1]
    old = np.empty(words, np.uint64)
    for entry in range(masks.shape[0]):
        old[:] = masks[entry]
        masks[entry, :] = NONE
        for place in range(moved_bytes.shape[0]):
            byte = (old[place // 8] >> np.uint64(8 * (place % 8))) & np.uint64(255)
            for word in range(words):
                masks[entry, word] |= moved_bytes[place, byte, word]


@compiled
def _population(word):  # pragma: no cover - compiled
    # Numba has no population count; LLVM turns this form of it into the processor's own instruction.
    word = word - ((word >> ONE) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def _lowest_bit(word):  # pragma: no cover - compiled
    return _population((word & (~word + ONE)) - ONE)


@compiled
def _winner(masks, members, votes, firsts):  # pragma: no cover - compiled
    """Index of the class that wins, -1 without votes; leaves each class's votes and first voter's rank behind."""
    best = -1
    for entry in range(masks.shape[0]):
        votes[entry], firsts[entry] = 0, NEVER
        for word in range(members.size):
            voters = masks[entry, word] & members[word]
            if voters != NONE:
                if votes[entry] == 0:
                    firsts[entry] = word * WORD_BITS + _lowest_bit(voters)
                votes[entry] += _population(voters)
        if votes[entry] == 0:
            continue
        tied = best >= 0 and votes[entry] == votes[best]
        if best < 0 or votes[entry] > votes[best] or (tied and firsts[entry] < firsts[best]):
            best = entry
    return best


@compiled
def _count_votes(target, kinds, classes, masks, members, base, gains):  # pragma: no cover - compiled
    """Add the vote of `members` to `base` (2, classes) and what each further candidate changes to `gains`."""
    votes, firsts = np.empty(256, np.int64), np.empty(256, np.int64)
    start = 0
    for pixel in range(target.size):
        stop = start + kinds[pixel]
        best = _winner(masks[start:stop], members, votes, firsts)
        winner = classes[start + best] if best >= 0 else np.uint8(0)
        base[1, winner] += 1
        if winner == target[pixel]:
            base[0, winner] += 1
        if gains.shape[0] > 0:
            for entry in range(stop - start):
                reach = _reach(votes, firsts, entry, best)
                rival = classes[start + entry]
                if reach > 0 and rival != winner:
                    _add_flips(masks[start + entry], members, reach, target[pixel], winner, rival, gains)
        start = stop


@compiled
def _reach(votes, firsts, entry, best):  # pragma: no cover - compiled
    """One more vote from a candidate whose rank is below this makes class `entry` win over class `best`."""
    if best < 0 or votes[entry] == votes[best]:
        return NEVER
    if votes[entry] + 1 == votes[best]:
        return NEVER if firsts[entry] < firsts[best] else firsts[best]
    return np.int64(0)


@compiled
def _add_flips(mask, members, reach, label, winner, rival, gains):  # pragma: no cover - compiled
    for word in range(members.size):
        flips = mask[word] & ~members[word]
        within = reach - word * WORD_BITS
        if within <= 0:
            return
        if within < WORD_BITS:
            flips &= (ONE << np.uint64(within)) - ONE
        while flips != NONE:
            candidate = word * WORD_BITS + _lowest_bit(flips)
            flips &= flips - ONE
            gains[candidate, 1, rival] += 1
            gains[candidate, 1, winner] -= 1
            if rival == label:
                gains[candidate, 0, rival] += 1
            elif winner == label:
                gains[candidate, 0, winner] -= 1
