"""The table on which votes are counted: what is left of the candidates' class maps once all else is folded away.

Pixels on which all candidates agree add the same counts to every vote and are only counted. The disputed ones are
grouped by their classes and by which of these is the target, and lie 64 to a block: of each class but the last, which
has the rest, a block keeps a word of 64 bits for each candidate, a bit a pixel. Most groups have two classes, so that a
disputed pixel takes one bit a candidate. Where a group would be too small, or somebody abstains (255), a pixel stays
alone: with its target, its classes, and for each class but the last a bit mask of candidates, bit position = rank.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from ensembling.counting.chunks import Chunk, move_bits, move_words, moved_bytes, pack_chunk, refuse, room_for
from ensembling.counting.counting import count_blocks, own_blocks
from ensembling.counting.counting_pairs import count_pairs
from ensembling.counting.counting_singly import count_singly, own_singly
from ensembling.counting.grouping import Room, make_room
from ensembling.counting.words import WORD_BITS
from ensembling.threads import in_threads

Members = Iterable[int] | Mapping[int, int]


class Bag(NamedTuple):
    """How often each part of the pixels counts: a bootstrap sample of images."""

    times: np.ndarray  # int64 (parts,)


Folds = Iterable[int] | Bag
# Adds to the counts (2, classes) of a vote and to those of the candidates (2, classes, candidates).
Counter = Callable[[Chunk, np.ndarray, np.ndarray], None]


class VoteTable:
    """Counts the vote of any set of candidates, over any of the folds.

    Candidates are spoken of by rank: `ranking[rank]` is the candidate's index, changed by `rerank`. Counts are int64
    (..., 3, num_classes): hits, predicted and labelled pixels (see scores). Members are ranks with one vote each, or a
    mapping from rank to number of votes. A fold that is named twice counts twice.
    """

    def __init__(
        self,
        num_candidates: int,
        num_classes: int,
        num_folds: int,
        threads: int = 1,
        memory_bytes: float = float("inf"),
    ) -> None:
        self.ranking = tuple(range(num_candidates))
        self.num_classes = num_classes
        self.num_folds = num_folds
        self.fold_of_part = np.arange(num_folds)
        self.threads = threads
        self.memory_bytes = memory_bytes
        self.chunks: list[Chunk] = []
        self.labelled = np.zeros((num_folds, num_classes), np.int64)
        self.agreed = np.zeros((num_folds, 2, num_classes), np.int64)

    def add(self, chunk: Chunk, agreed: np.ndarray, labelled: np.ndarray) -> None:
        """Take in a chunk, with what all agree on beside it (folds, 2, classes), and its targets (folds, classes)."""
        fits = self.nbytes + chunk.nbytes <= self.memory_bytes
        self.chunks.append(chunk if fits else chunk.in_file())
        self.agreed += agreed
        self.labelled += labelled

    def take_in(self, other: "VoteTable") -> None:
        """The pixels of another table of the same candidates."""
        for chunk in other.chunks:
            self.add(chunk, 0, 0)
        self.agreed += other.agreed
        self.labelled += other.labelled

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
        votes = self._votes(members)
        if not votes.any():
            nothing = np.zeros((2, self.num_classes), np.int64)
            nothing[:, 0] = labelled[0], labelled.sum()
            return np.concatenate([nothing, labelled[None]])
        counts = self._count(folds, _vote_counter(votes, None))[0]
        return np.concatenate([counts + agreed, labelled[None]])

    def addition_counts(self, members: Members, folds: Folds, *, repeat: bool = False) -> np.ndarray:
        """Counts of the vote with one more vote of each candidate: (candidates, 3, num_classes), by rank.

        The row of a candidate that is a member already is the vote of `members` itself, unless members may `repeat`.
        """
        agreed, labelled = self.fixed_counts(folds)
        votes = self._votes(members)
        if votes.any():
            counts = self._count(folds, _vote_counter(votes, repeat))
            counts[1:] += counts[0]
        else:
            counts = self._count(folds, _count_own)
        labelled = np.broadcast_to(labelled, (len(self.ranking), 1, self.num_classes))
        return np.concatenate([counts[1:] + agreed, labelled], axis=1)

    def fixed_counts(self, folds: Folds) -> tuple[np.ndarray, np.ndarray]:
        """What no vote changes: counts (2, num_classes) of the pixels on which all agree, and all labelled pixels."""
        times = self._times(folds)
        return np.einsum("p,pkc->kc", times, self.agreed), times @ self.labelled

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
        old_ranks, moved = np.argsort(moves), moved_bytes(moves)

        def move(chunk: Chunk) -> None:
            move_words(chunk.rows, old_ranks)
            move_bits(chunk.voters.T, moved)

        in_threads(move, self.chunks, self.threads)

    def _votes(self, members: Members) -> np.ndarray:
        """How many votes each candidate has: int64 (candidates,), by rank."""
        votes = np.zeros(len(self.ranking), np.int64)
        votes[list(members)] = list(members.values()) if isinstance(members, Mapping) else 1
        return votes

    def _times(self, folds: Folds) -> np.ndarray:
        """How often each part is to be counted: int64 (parts,)."""
        if isinstance(folds, Bag):
            return folds.times
        return np.bincount(np.fromiter(folds, np.int64), minlength=self.num_folds)[self.fold_of_part]

    def _count(self, folds: Folds, count: Counter) -> np.ndarray:
        """What `count` adds on the disputed pixels to the vote's counts, then the candidates': (1 + n, 2, classes)."""
        candidates = len(self.ranking)

        def count_part(part: tuple[int, Chunk]) -> np.ndarray:
            times, chunk = part
            counts, gains = (
                np.zeros((2, self.num_classes), np.int64),
                np.zeros((2, self.num_classes, candidates), np.int64),
            )
            count(chunk, counts, gains)
            return times * np.concatenate([counts[None], gains.transpose(2, 0, 1)])

        nothing = np.zeros((1 + candidates, 2, self.num_classes), np.int64)
        return sum(in_threads(count_part, self.parts_of(folds), self.threads), nothing)


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
    `chunk_pixels`, which are packed at a time, nor `threads` nor `memory_bytes` changes any count: a quarter of those
    bytes is for packing, and what does not fit in the rest is mapped from temporary files. Raises ValueError where a
    class id is not below `num_classes`; it names the pixel as counted from `offset`.
    """
    table = VoteTable(len(rows), num_classes, num_folds, threads, 0.75 * memory_bytes)
    most = chunk_pixels or room_for(len(rows), num_classes, memory_bytes / 4 / threads)
    size = max(1, -(-len(target) // max(threads, -(-len(target) // most))))
    starts = range(0, len(target), size)
    rooms: SimpleQueue[Room] = SimpleQueue()  # as many as threads
    for _ in range(min(threads, len(starts))):
        rooms.put(make_room(len(rows), num_classes, size))

    def pack(start: int) -> tuple[Chunk, np.ndarray, np.ndarray]:
        part = slice(start, min(start + size, len(target)))
        folds = np.zeros(part.stop - start, np.uint8) if fold_of_pixel is None else fold_of_pixel[part]
        labels, votes = np.asarray(target[part]), [row[part] for row in rows]
        room = rooms.get()
        packed = pack_chunk(votes, labels, folds, num_classes, ignore_index, num_folds, room)
        rooms.put(room)
        if packed is None:
            refuse(votes, labels, num_classes, ignore_index, offset + start)
        return packed

    # A few at a time, since the next chunks need their room as well.
    for first in range(0, len(starts), threads):
        for chunk, agreed, labelled in in_threads(pack, starts[first : first + threads], threads):
            table.add(chunk, agreed, labelled)
    return table


def _masks_of(values: np.ndarray) -> np.ndarray:
    """Numbers by bits: row i of uint64 (bits, words) holds bit i of each of `values` int64 (candidates,)."""
    bits = np.arange(max(1, int(values.max()).bit_length()))
    padded = np.zeros((len(bits), -(-len(values) // WORD_BITS) * WORD_BITS), np.uint8)
    padded[:, : len(values)] = values >> bits[:, None] & 1
    return np.packbits(padded, axis=1, bitorder="little").view(np.dtype("<u8")).astype(np.uint64)


def _vote_counter(votes: np.ndarray, repeat: bool | None) -> Counter:
    """What adds the vote to counts; unless `repeat` is None, what one more vote of each candidate turns to gains."""
    members, everyone = np.flatnonzero(votes), _masks_of(np.ones_like(votes))[0]
    numbers, masks = votes[members], _masks_of(votes)
    allowed = everyone if repeat else everyone & ~np.bitwise_or.reduce(masks)

    def count_vote(chunk: Chunk, counts: np.ndarray, gains: np.ndarray) -> None:
        gains = gains if repeat is not None else np.empty((*counts.shape, 0), np.int64)
        for count in (count_pairs, count_blocks):
            count(chunk.groups, chunk.rows, chunk.slots, members, numbers, int(bool(repeat)), counts, gains)
        count_singly(*chunk.singles, masks, allowed, everyone, counts, gains)

    return count_vote


def _count_own(chunk: Chunk, counts: np.ndarray, gains: np.ndarray) -> None:
    """Add the counts of each candidate alone to `gains`."""
    own_blocks(chunk.groups, chunk.rows, chunk.slots, gains)
    own_singly(*chunk.singles, _masks_of(np.ones(gains.shape[2], np.int64))[0], gains)
