"""The table on which votes are counted: what is left of the candidates' class maps once all else is folded away.

Pixels on which all candidates agree add the same counts to every vote and are only counted. A disputed pixel keeps one
bit mask of candidates for each class predicted there, bit position = rank; the last class has the rest, so that its
mask need not be kept. Most disputed pixels have two classes: such a pair keeps a single word for 64 candidates, and
pairs lie sorted by their two classes and by which of these is the target. The others keep their target and classes too,
where abstaining (255) is one more class.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ensembling.chunks import Chunk, move_bits, moved_bytes, pack_chunk, refuse, room_for
from ensembling.counting import count_pairs, count_several, own_counts
from ensembling.packing import WORD_BITS

Members = Iterable[int] | Mapping[int, int]


class Bag(NamedTuple):
    """How often each part of the pixels counts: a bootstrap sample of images."""

    times: np.ndarray  # int64 (parts,)


Folds = Iterable[int] | Bag


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

    def add(self, chunk: Chunk, agreed: np.ndarray, labelled: np.ndarray) -> None:
        """Take in a chunk, with what all agree on beside it (folds, 2, classes), and its targets (folds, classes)."""
        self.chunks.append(chunk)
        self.agreed += agreed
        self.labelled += labelled

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
        moved = moved_bytes(moves)
        masks = [masks for chunk in self.chunks for masks in (chunk.pair_masks, chunk.voters.T)]
        in_threads(lambda masks: move_bits(masks, moved), masks, self.threads)

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
    offset: int = 0,
    memory_bytes: float = float("inf"),
) -> VoteTable:
    """The table of candidates' predictions `rows` (each uint8 (pixels,)) on `target` uint8 (pixels,), in one stream.

    `fold_of_pixel` (pixels,), integers, counts from 0. Pixels whose target is `ignore_index` are left out. Neither
    `chunk_pixels`, which bounds the memory beside the table, nor the number of `threads` changes any count. Chunks
    beyond `memory_bytes` are mapped from temporary files. Raises ValueError where a class id is not below
    `num_classes`; it names the pixel as counted from `offset`.
    """
    table = VoteTable(len(rows), num_classes, num_folds, threads)
    size = chunk_pixels or room_for(len(rows), num_classes)
    starts = range(0, len(target), size)

    def pack(start: int) -> tuple[Chunk, np.ndarray, np.ndarray]:
        part = slice(start, min(start + size, len(target)))
        folds = np.zeros(part.stop - start, np.uint8) if fold_of_pixel is None else fold_of_pixel[part]
        labels, votes = np.asarray(target[part]), [row[part] for row in rows]
        packed = pack_chunk(votes, labels, folds, num_classes, ignore_index, num_folds)
        if packed is None:
            refuse(votes, labels, num_classes, ignore_index, offset + start)
        return packed

    # A few at a time, since the next chunks need their room as well.
    for first in range(0, len(starts), threads):
        for chunk, agreed, labelled in in_threads(pack, starts[first : first + threads], threads):
            table.add(chunk if table.nbytes + chunk.nbytes <= memory_bytes else chunk.in_file(), agreed, labelled)
    return table


def in_threads(function: Callable[[Any], Any], items: Iterable[Any], threads: int) -> list[Any]:
    """`function` of each item, in order. The kernels let go of the interpreter lock."""
    if threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


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
