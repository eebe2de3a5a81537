"""The vote table: it counts the vote of any set of candidates, over any of the folds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensembling.counting.blocks import unpack_blocks
from ensembling.counting.chunks import Chunk, Packed, pack_chunk, pixels_at_once, refuse
from ensembling.counting.count_blocks import count_alone, count_blocks, members_of
from ensembling.counting.count_sets import count_sets
from ensembling.counting.count_two_classes import count_two_classes
from ensembling.counting.group_pixels import Ids
from ensembling.counting.reference import count_plainly
from ensembling.memory_budget import Budget
from ensembling.threads import in_threads

Votes = Iterable[int] | Mapping[int, int]


@dataclass(frozen=True, eq=False)
class VoteTable:
    """Counts votes on the pixels whose target counts; see the page at the top of this package for how.

    Counts are int64 (..., 3, num_classes): hits, predicted and labelled pixels of each class (see scores). Members are
    given by rank: ranks with one vote each, or a mapping from rank to number of votes. A table does not change; another
    ranking, some of the folds, or a sample of the parts make a new one that shares the packed pixels.
    """

    chunks: tuple[Chunk, ...]
    agreed: np.ndarray
    """Hits and predicted pixels where all candidates agree: int64 (parts, 2, num_classes)."""
    labelled: np.ndarray
    """Pixels of each target: int64 (parts, num_classes)."""
    candidates: tuple[int, ...]
    """What the candidates are called, in the order in which they are packed."""
    ranking: tuple[int, ...]
    """The candidates, best first."""
    fold_of_part: np.ndarray
    """Int64 (parts,): parts are what is kept apart, folds or images."""
    times: np.ndarray
    """How often each part counts: int64 (parts,)."""
    threads: int = 1

    @property
    def num_classes(self) -> int:
        return self.labelled.shape[1]

    @property
    def num_folds(self) -> int:
        return int(self.fold_of_part.max(initial=0)) + 1

    @property
    def disputed(self) -> int:
        """Return the number of packed pixels."""
        return sum(chunk.disputed for chunk in self.chunks)

    @property
    def nbytes(self) -> int:
        """Return the number of bytes that the packed pixels take."""
        return sum(chunk.nbytes for chunk in self.chunks)

    @staticmethod
    def pixels_at_once(num_candidates: int, scratch_bytes: float) -> int:
        """Return how many pixels are packed at a time within so many bytes."""
        return pixels_at_once(num_candidates, scratch_bytes)

    @staticmethod
    def joined(tables: Sequence["VoteTable"]) -> "VoteTable":
        """Return the table of the pixels of several tables that have the same candidates and parts."""
        return replace(
            tables[0],
            chunks=tuple(chunk for table in tables for chunk in table.chunks),
            agreed=sum(table.agreed for table in tables),
            labelled=sum(table.labelled for table in tables),
        )

    def on(self, folds: Iterable[int]) -> "VoteTable":
        """Return the table of some folds alone; a fold that is named twice counts twice."""
        times = np.bincount(np.fromiter(folds, np.int64), minlength=self.num_folds)
        return replace(self, times=times[self.fold_of_part])

    def resampled(self, rng: np.random.Generator) -> "VoteTable":
        """Return the table of as many parts, drawn with replacement from those that count: a bootstrap sample."""
        parts = np.flatnonzero(self.times)
        drawn = rng.choice(parts, len(parts)) if len(parts) else parts
        return replace(self, times=np.bincount(drawn, minlength=len(self.times)))

    def ranked(self, ranking: Iterable[int]) -> "VoteTable":
        """Return the table in which the candidates rank in this order, best first."""
        return replace(self, ranking=tuple(int(candidate) for candidate in ranking))

    def vote_counts(self, members: Votes) -> np.ndarray:
        """Return the counts of the members' vote: (3, num_classes). Without members, all pixels are class 0."""
        members = members if isinstance(members, Mapping) else dict.fromkeys(members, 1)
        if not members:
            labelled = self.times @ self.labelled
            counts = np.zeros((3, self.num_classes), np.int64)
            counts[:, 0], counts[2] = (labelled[0], labelled.sum(), 0), labelled
            return counts
        return self._count(members, additions=False, repeat=False)[0]

    def addition_counts(self, members: Votes, *, repeat: bool = False) -> np.ndarray:
        """Return the counts of the vote with one more vote of each candidate: (candidates, 3, num_classes), by rank.

        Those of a candidate that is a member already are those of the members' vote, unless members may `repeat`.
        """
        members = members if isinstance(members, Mapping) else dict.fromkeys(members, 1)
        return self._count(members, additions=True, repeat=repeat)[1 + self._order]

    def set_counts(self, sets: np.ndarray) -> np.ndarray:
        """Return the counts of the vote of each of `sets`, uint64 (sets,) with a bit for each rank: (sets, 3, classes).

        It takes the time of all sets times the number of different pixels, and serves up to 64 candidates.
        """

        def count(chunk: Chunk) -> np.ndarray:
            votes, target = unpack_blocks(chunk.blocks, len(self.candidates))
            votes = np.concatenate([votes, chunk.columns.votes], axis=1)[self._order]
            return count_sets(votes, np.concatenate([target, chunk.columns.target]), sets, self.num_classes)

        return self._whole(self._sum_over_chunks(count, len(sets)))

    @property
    def _order(self) -> np.ndarray:
        """Return the indices of the ranked candidates in the order of packing: int64 (candidates,)."""
        index = {candidate: index for index, candidate in enumerate(self.candidates)}
        return np.array([index[candidate] for candidate in self.ranking], np.int64)

    def _count(self, members: Mapping[int, int], *, additions: bool, repeat: bool) -> np.ndarray:
        """Return the counts of the vote, then, with `additions`, of those with a vote more: in the order of packing."""
        order, weights = self._order, np.zeros(len(self.candidates), np.int64)
        weights[order[list(members)]] = list(members.values())
        voters = members_of(order, weights)
        candidates = len(order) if additions else 0

        def count(chunk: Chunk) -> np.ndarray:
            counts = np.zeros((1 + candidates, 2, self.num_classes), np.int64)
            votes, target, _ = chunk.columns
            count_plainly(votes, target, order, weights, repeat, counts[0], counts[1:])
            vote, gains = np.zeros_like(counts[0]), np.zeros((2, self.num_classes, candidates), np.int64)
            if weights.any():
                count_two_classes(chunk.blocks, voters, vote, gains)
                count_blocks(chunk.blocks, voters, vote, gains)
            else:
                count_alone(chunk.blocks, vote, gains)
            if additions and not repeat:
                gains[..., voters.candidates] = 0
            counts[0] += vote
            counts[1:] += vote + gains.transpose(2, 0, 1)
            return counts

        return self._whole(self._sum_over_chunks(count, 1 + candidates))

    def _sum_over_chunks(self, count: Callable[[Chunk], np.ndarray], votes: int) -> np.ndarray:
        """Add up what `count` finds on the disputed pixels: int64 (votes, 2, num_classes)."""

        def count_part(part: tuple[int, Chunk]) -> np.ndarray:
            times, chunk = part
            return times * count(chunk)

        nothing = np.zeros((votes, 2, self.num_classes), np.int64)
        return sum(in_threads(count_part, self._chunks_that_count(), self.threads), nothing)

    def _chunks_that_count(self) -> Iterator[tuple[int, Chunk]]:
        """Yield the chunks, cut to the parts that count equally often, with how often that is."""
        for number in np.unique(self.times[self.times > 0]):
            for chunk in self.chunks:
                yield int(number), chunk.of_parts(self.times == number)

    def _whole(self, disputed: np.ndarray) -> np.ndarray:
        """Complete the counts (votes, 2, num_classes) of disputed pixels by what no vote changes."""
        agreed = np.einsum("p,pkc->kc", self.times, self.agreed)
        labelled = np.broadcast_to(self.times @ self.labelled, (len(disputed), 1, self.num_classes))
        return np.concatenate([disputed + agreed, labelled], axis=1)


def build_table(
    rows: Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    *,
    candidates: Sequence[int] | None = None,
    ignore_index: int = 255,
    part_of_pixel: np.ndarray | None = None,
    fold_of_part: np.ndarray | None = None,
    chunk_pixels: int | None = None,
    scratch_bytes: float = float("inf"),
    threads: int = 1,
    offset: int = 0,
    budget: Budget | None = None,
) -> VoteTable:
    """Build the table of the candidates' predictions, reading them once.

    Args:
        rows: the predictions of each candidate, uint8 (pixels,); they may be memory-mapped.
        target: uint8 (pixels,).
        num_classes: class ids are below it; a vote of 255 abstains.
        candidates: what the candidates are called; from 0 on unless given.
        ignore_index: pixels of this target do not count.
        part_of_pixel: integers (pixels,), the part of each pixel, from 0 on; one part unless given.
        fold_of_part: int64 (parts,), the fold of each part; each is a fold of its own unless given.
        chunk_pixels: how many pixels are packed at a time; as many as `scratch_bytes` allows unless given.
        scratch_bytes: memory for packing.
        threads: how many threads pack and count; neither they nor the sizes above change any count.
        offset: the number of the first pixel, for messages.
        budget: the memory that the table may take; the rest is mapped from temporary files.

    Raises:
        ValueError: where an id is neither a class nor 255 (in a vote) or `ignore_index` (in the target).
    """
    budget, ids = budget or Budget(), Ids(num_classes, ignore_index)
    num_parts = 1 if fold_of_part is None else len(fold_of_part)
    most = chunk_pixels or pixels_at_once(len(rows), scratch_bytes / threads)
    size = max(1, -(-len(target) // max(threads, -(-len(target) // most))))

    def pack(start: int) -> Packed:
        pixels = slice(start, min(start + size, len(target)))
        parts = np.zeros(pixels.stop - start, np.uint8) if part_of_pixel is None else part_of_pixel[pixels]
        votes, labels = [row[pixels] for row in rows], np.asarray(target[pixels])
        return pack_chunk(votes, labels, parts, num_parts, ids) or refuse(votes, labels, ids, offset + start)

    chunks, agreed, labelled = (
        [],
        np.zeros((num_parts, 2, num_classes), np.int64),
        np.zeros((num_parts, num_classes), np.int64),
    )
    starts = range(0, len(target), size)
    # A few at a time, so that what does not fit is in files before the next ones are packed.
    for first in range(0, len(starts), threads):
        for packed in in_threads(pack, starts[first : first + threads], threads):
            chunks.append(packed.chunk.kept_in(budget))
            agreed += packed.agreed
            labelled += packed.labelled
    candidates = tuple(range(len(rows)) if candidates is None else candidates)
    return VoteTable(
        chunks=tuple(chunks),
        agreed=agreed,
        labelled=labelled,
        candidates=candidates,
        ranking=candidates,
        fold_of_part=np.arange(num_parts) if fold_of_part is None else fold_of_part,
        times=np.ones(num_parts, np.int64),
        threads=threads,
    )
