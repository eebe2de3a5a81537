"""The table on which votes are counted: what is left of the candidates' class maps once all else is folded away.

Pixels on which all candidates agree add the same counts to every vote and are only counted. A disputed pixel keeps one
bit mask of candidates for each class predicted there, bit position = rank; the last class has the rest, so that its
mask need not be kept. Most disputed pixels have two classes: such a pair keeps a single word for 64 candidates, and
pairs lie sorted by their two classes and by which of these is the target. The others keep their target and classes too,
where abstaining (255) is one more class.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ensembling.compiled import compiled
from ensembling.counting import count_pairs, count_several, own_counts
from ensembling.packing import ABSTAIN, NONE, ONE, WORD_BITS, Ids, Room, pack_pixels, sort_pairs
from ensembling.vote import check_class_ids

CHUNK_PIXELS = 1 << 20
SCRATCH_BYTES = 1 << 28

Members = Iterable[int] | Mapping[int, int]


class Bag(NamedTuple):
    """How often each part of the pixels counts: a bootstrap sample of images."""

    times: np.ndarray  # int64 (parts,)


Folds = Iterable[int] | Bag


@dataclass(frozen=True)
class Chunk:
    """The disputed pixels of some neighbouring pixels; `spans` and `runs` name the folds of theirs."""

    pair_masks: np.ndarray  # uint64 (words, pairs), of the pairs' higher classes
    spans: np.ndarray  # int64 (spans, 4): first pair, end, key (see packing.Room), fold; sorted
    labels: np.ndarray  # uint8 (several,)
    kinds: np.ndarray  # uint8 (several,), how many of `classes` and, less one, of `voters` belong to each
    classes: np.ndarray  # uint8 (entries,)
    voters: np.ndarray  # uint64 (entries - several, words)
    runs: np.ndarray  # int64 (runs, 4): first of several, end, first entry, fold

    def of_folds(self, wanted: np.ndarray) -> "Chunk":
        """A view of the folds whose place in `wanted` bool (folds,) is true."""
        if wanted.all():
            return self
        return replace(self, spans=self.spans[wanted[self.spans[:, 3]]], runs=self.runs[wanted[self.runs[:, 3]]])

    @property
    def disputed(self) -> int:
        return self.pair_masks.shape[1] + len(self.labels)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in vars(self).values())


class VoteTable:
    """Counts the vote of any set of candidates, over any of the folds.

    Candidates are spoken of by rank: `ranking[rank]` is the candidate's index, at first rank = index, changed by
    `rerank`. Counts are int64 (..., 3, num_classes): hits, predicted and labelled pixels (see scores). Members are
    ranks with one vote each, or a mapping from rank to number of votes. A fold that is named twice counts twice.
    """

    def __init__(self, num_candidates: int, num_classes: int, num_folds: int, threads: int = 1) -> None:
        self.ranking = tuple(range(num_candidates))
        self.num_classes = num_classes
        self.num_folds = num_folds
        self.fold_of_part = np.arange(num_folds)
        self.threads = threads
        self.chunks: list[Chunk] = []
        self.labelled = np.zeros((num_folds, num_classes), np.int64)
        self.agreed = np.zeros((num_folds, 2, num_classes), np.int64)

    @property
    def disputed(self) -> int:
        """How many pixels are kept."""
        return sum(chunk.disputed for chunk in self.chunks)

    @property
    def nbytes(self) -> int:
        """Bytes of the disputed pixels."""
        return sum(chunk.nbytes for chunk in self.chunks)

    def vote_counts(self, members: Members, folds: Folds) -> np.ndarray:
        """Counts of the members' vote on the pixels of `folds`: (3, num_classes). Without members all is class 0."""
        agreed, labelled = self.fixed_counts(folds)
        weights = _planes_of(members, len(self.ranking))
        if not weights.any():
            nothing = np.zeros((2, self.num_classes), np.int64)
            nothing[:, 0] = labelled[0], labelled.sum()
            return np.concatenate([nothing, labelled[None]])
        votes = self._count(folds, partial(_count_vote, weights, self._everyone(), None))[0]
        return np.concatenate([votes + agreed, labelled[None]])

    def addition_counts(self, members: Members, folds: Folds, *, repeat: bool = False) -> np.ndarray:
        """Counts of the vote with one more vote of each candidate: (candidates, 3, num_classes), by rank.

        The row of a candidate that is a member already is the vote of `members` itself, unless members may `repeat`.
        """
        agreed, labelled = self.fixed_counts(folds)
        weights, everyone = _planes_of(members, len(self.ranking)), self._everyone()
        if weights.any():
            allowed = everyone if repeat else everyone & ~np.bitwise_or.reduce(weights)
            counts = self._count(folds, partial(_count_vote, weights, everyone, allowed))
            counts[1:] += counts[0]
        else:
            counts = self._count(folds, partial(_count_own, everyone))
        labelled = np.broadcast_to(labelled, (len(self.ranking), 1, self.num_classes))
        return np.concatenate([counts[1:] + agreed, labelled], axis=1)

    def fixed_counts(self, folds: Folds) -> tuple[np.ndarray, np.ndarray]:
        """What no vote changes: counts (2, num_classes) of the pixels on which all agree, and all labelled pixels."""
        times = self._times(folds)
        return np.tensordot(times, self.agreed, 1), times @ self.labelled

    def parts_of(self, folds: Folds) -> Iterator[tuple[int, Chunk]]:
        """The chunks, cut to what counts equally often in `folds`, with how often that is."""
        times = self._times(folds)
        for number in np.unique(times[times > 0]):
            for chunk in self.chunks:
                yield int(number), chunk.of_folds(times == number)

    def group(self, fold_of_part: np.ndarray) -> None:
        """Make folds of what were the folds until now, its parts: part i belongs to fold fold_of_part[i]."""
        self.fold_of_part, self.num_folds = fold_of_part, int(fold_of_part.max(initial=0)) + 1

    def rerank(self, ranking: Sequence[int]) -> None:
        """Give the candidates new ranks: `ranking` holds their indices, best first. The masks change in place."""
        new_rank = {int(candidate): rank for rank, candidate in enumerate(ranking)}
        moves = np.array([new_rank[candidate] for candidate in self.ranking], np.int64)
        self.ranking = tuple(int(candidate) for candidate in ranking)
        if np.array_equal(moves, np.arange(len(moves))):
            return
        moved = _moved_bytes(moves)
        in_threads(lambda chunk: _move_bits(chunk.pair_masks, chunk.voters, moved), self.chunks, self.threads)

    def _everyone(self) -> np.ndarray:
        return _planes_of(range(len(self.ranking)), len(self.ranking))[0]

    def _times(self, folds: Folds) -> np.ndarray:
        """How often each part is to be counted: int64 (parts,)."""
        if isinstance(folds, Bag):
            return folds.times
        return np.bincount(np.fromiter(folds, np.int64), minlength=self.num_folds)[self.fold_of_part]

    def _count(self, folds: Folds, count: Callable[[Chunk, np.ndarray], None]) -> np.ndarray:
        """Sum over the disputed pixels of what `count` adds to zeros (1 + candidates, 2, num_classes)."""
        shape = (1 + len(self.ranking), 2, self.num_classes)

        def count_part(part: tuple[int, Chunk]) -> np.ndarray:
            counts = np.zeros(shape, np.int64)
            count(part[1], counts)
            return part[0] * counts

        return sum(in_threads(count_part, self.parts_of(folds), self.threads), np.zeros(shape, np.int64))


def build_table(
    rows: Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    *,
    ignore_index: int = 255,
    fold_of_pixel: np.ndarray | None = None,
    num_folds: int = 1,
    chunk_pixels: int | None = None,
    threads: int = 1,
) -> VoteTable:
    """The table of candidates' predictions `rows` (each uint8 (pixels,)) on `target` uint8 (pixels,), in one stream.

    `fold_of_pixel` (pixels,), integers, counts from 0. Pixels whose target is `ignore_index` are left out. Neither
    `chunk_pixels`, which bounds the memory beside the table, nor the number of `threads` changes any count. Raises
    ValueError where a class id is not below `num_classes`.
    """
    table = VoteTable(len(rows), num_classes, num_folds, threads)
    size = chunk_pixels or _chunk_pixels(len(rows), num_classes)
    starts = range(0, len(target), size)

    def pack(start: int) -> tuple[Chunk, np.ndarray, np.ndarray]:
        part = slice(start, min(start + size, len(target)))
        folds = np.zeros(part.stop - start, np.uint8) if fold_of_pixel is None else fold_of_pixel[part]
        labels, votes = np.asarray(target[part]), [row[part] for row in rows]
        packed = _pack_chunk(votes, labels, folds, num_classes, ignore_index, num_folds)
        if packed is None:
            _refuse(votes, labels, num_classes, ignore_index, start)
        return packed

    for chunk, agreed, labelled in in_threads(pack, starts, threads):
        table.chunks.append(chunk)
        table.agreed += agreed
        table.labelled += labelled
    return table


def in_threads(function: Callable[[Any], Any], items: Iterable[Any], threads: int) -> list[Any]:
    """`function` of each item, in order. The kernels let go of the interpreter lock."""
    if threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def _chunk_pixels(num_candidates: int, num_classes: int) -> int:
    words = -(-num_candidates // WORD_BITS)
    pixel_bytes = 8 * words + 8 + min(num_candidates, num_classes + 1) * (8 * words + 1)
    return max(1024, min(CHUNK_PIXELS, SCRATCH_BYTES // pixel_bytes))


def _pack_chunk(
    votes: list[np.ndarray], target: np.ndarray, folds: np.ndarray, num_classes: int, ignore_index: int, num_folds: int
) -> tuple[Chunk, np.ndarray, np.ndarray] | None:
    """The chunk; what all agree on (folds, 2, classes); targets (folds, classes). None where an id is refused."""
    starts = _run_starts(folds)
    if len(starts) > len(np.unique(folds[starts])):
        # Folds that return in a chunk would make many short runs.
        order = np.argsort(folds, kind="stable")
        votes, target, folds = [row[order] for row in votes], target[order], folds[order]
        starts = _run_starts(folds)
    # Kernels read the rows by address; strided ones are copied, and all are kept until the kernels are done.
    votes, target = [np.ascontiguousarray(row) for row in votes], np.ascontiguousarray(target)
    addresses = np.array([row.ctypes.data for row in votes], np.uint64)
    ids, room = _meanings(num_classes, ignore_index), _room(len(votes), num_classes, len(target))
    agreed, labelled = np.zeros((num_folds, 2, num_classes), np.int64), np.zeros((num_folds, num_classes), np.int64)
    before = []
    for start, stop in zip(starts, [*starts[1:], len(target)], strict=True):
        fold = int(folds[start])
        before.append([*room.used[:3], fold])
        tally, labels = np.zeros((num_classes + 2,) * 2, np.int64), np.zeros(num_classes + 2, np.int64)
        if not pack_pixels(addresses + np.uint64(start), target[start:stop], ids, tally, labels, room):
            return None
        labelled[fold] += labels[:num_classes] + tally[:, :num_classes].sum(axis=0)
        votes_of = tally[:num_classes, :num_classes]
        votes_of[0] += tally[num_classes, :num_classes]  # where all abstain, background wins
        agreed[fold] += np.diagonal(votes_of), votes_of.sum(axis=1)
    return _chunk_of(room, np.array(before, np.int64).reshape(-1, 4), num_classes), agreed, labelled


def _run_starts(folds: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.flatnonzero(folds[1:] != folds[:-1]) + 1]) if len(folds) else np.empty(0, np.int64)


def _chunk_of(room: Room, before: np.ndarray, num_classes: int) -> Chunk:
    """The chunk of packed pixels. `before` (runs, 4): pairs, several, entries before a fold's run, and its fold."""
    pairs, several, entries, voters = (int(number) for number in room.used)
    masks, spans = sort_pairs(room.keys[:pairs], room.masks[:, :pairs], before[:, [0, 3]], 3 * num_classes**2)
    first = before[:, 1]
    runs = np.stack([first, np.append(first[1:], several), before[:, 2], before[:, 3]], axis=1)
    return Chunk(
        masks,
        spans,
        room.labels[:several].copy(),
        room.kinds[:several].copy(),
        room.classes[:entries].copy(),
        room.voters[:voters].copy(),
        runs[runs[:, 1] > runs[:, 0]],
    )


def _room(num_candidates: int, num_classes: int, pixels: int) -> Room:
    words, kinds = -(-num_candidates // WORD_BITS), min(num_candidates, num_classes + 1)
    return Room(
        np.empty(pixels, np.int32),
        np.empty((words, pixels), np.uint64),
        np.empty(pixels, np.uint8),
        np.empty(pixels, np.uint8),
        np.empty((pixels + 1) * kinds, np.uint8),
        np.empty(((pixels + 1) * kinds, words), np.uint64),
        np.zeros(4, np.int64),
    )


def _meanings(num_classes: int, ignore_index: int) -> Ids:
    of_vote, of_label = np.full((2, 256), num_classes + 1, np.uint16)
    of_vote[:num_classes] = of_label[:num_classes] = np.arange(num_classes)
    of_vote[ABSTAIN] = of_label[ignore_index] = num_classes
    return Ids(of_vote, of_label)


def _refuse(
    votes: Sequence[np.ndarray], target: np.ndarray, num_classes: int, ignore_index: int, offset: int
) -> NoReturn:
    wrong = (target >= num_classes) & (target != ignore_index)
    if wrong.any():
        pixel = int(np.argmax(wrong))
        raise ValueError(
            f"target: class id {target[pixel]} at pixel {offset + pixel}, but num_classes is {num_classes}: "
            f"ids must be 0 to {num_classes - 1}, or ignore_index ({ignore_index})"
        )
    for candidate, row in enumerate(votes):
        check_class_ids(row, num_classes, f"predictions of candidate {candidate}", offset)
    raise AssertionError("refused without a wrong id")


def _planes_of(members: Members, num_candidates: int) -> np.ndarray:
    """Numbers of votes as bits: row i of uint64 (bits, words) holds bit i of each candidate's number."""
    votes = np.zeros(num_candidates, np.int64)
    votes[list(members)] = list(members.values()) if isinstance(members, Mapping) else 1
    bits = np.arange(max(1, int(votes.max()).bit_length()))
    padded = np.zeros((len(bits), -(-num_candidates // WORD_BITS) * WORD_BITS), np.uint8)
    padded[:, :num_candidates] = votes >> bits[:, None] & 1
    return np.packbits(padded, axis=1, bitorder="little").view(np.dtype("<u8")).astype(np.uint64)


def _count_vote(
    weights: np.ndarray, everyone: np.ndarray, allowed: np.ndarray | None, chunk: Chunk, counts: np.ndarray
) -> None:
    """Add the members' vote to counts[0], and what one more vote of each `allowed` candidate changes to counts[1:]."""
    members = np.flatnonzero(np.unpackbits(np.bitwise_or.reduce(weights).view(np.uint8), bitorder="little"))
    gains = counts[1:] if allowed is not None else counts[:0]
    allowed = everyone if allowed is None else allowed
    count_pairs(chunk.pair_masks, chunk.spans, weights, int(members[0]), allowed, counts[0], gains)
    several = (chunk.labels, chunk.kinds, chunk.classes, chunk.voters, chunk.runs)
    count_several(*several, weights, allowed, everyone, counts[0], gains)


def _count_own(everyone: np.ndarray, chunk: Chunk, counts: np.ndarray) -> None:
    """Add the counts of each candidate alone to counts[1:]."""
    several = (chunk.labels, chunk.kinds, chunk.classes, chunk.voters, chunk.runs)
    own_counts(chunk.pair_masks, chunk.spans, *several, everyone, counts[1:])


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
def _move_bits(pair_masks, voters, moved):  # pragma: no cover - compiled
    words = voters.shape[1]
    old = np.empty(words, np.uint64)
    for pair in range(pair_masks.shape[1]):
        old[:] = pair_masks[:, pair]
        _move_mask(old, pair_masks[:, pair], moved)
    for entry in range(voters.shape[0]):
        old[:] = voters[entry]
        _move_mask(old, voters[entry], moved)


@compiled
def _move_mask(old, mask, moved):  # pragma: no cover - compiled
    mask[:] = NONE
    for place in range(moved.shape[0]):
        byte = (old[place // 8] >> np.uint64(8 * (place % 8))) & np.uint64(255)
        for word in range(mask.size):
            mask[word] |= moved[place, byte, word]
