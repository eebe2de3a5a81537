"""A chunk of the vote table: the disputed pixels of a stretch of pixels, packed, and what all candidates agree on."""

from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import numpy as np

from ensembling.counting.bits import WORD_BITS
from ensembling.counting.blocks import Blocks, finish_blocks, join_blocks
from ensembling.counting.group_pixels import HASH_BITS, MOST_CLASSES, Ids, Packing, new_packing
from ensembling.counting.pack_pixels import pack_pixels
from ensembling.memory_budget import Budget
from ensembling.vote import ABSTAIN, check_class_ids

CHUNK_PIXELS = 1 << 22
MOST_GROUPS = 1 << (HASH_BITS - 1)  # of a part; a hash table that is half full is still quick
SCRATCH_BYTES = 1 << 30  # reserved, and touched as far as pixels are disputed


class Columns(NamedTuple):
    """Disputed pixels that are in no block: class ids as they are."""

    votes: np.ndarray  # uint8 (candidates, pixels)
    target: np.ndarray  # uint8 (pixels,)
    part: np.ndarray  # int64 (pixels,)

    def of_pixels(self, wanted: np.ndarray) -> "Columns":
        """Return the pixels for which `wanted`, bool (pixels,), is true."""
        return Columns(np.compress(wanted, self.votes, axis=1), self.target[wanted], self.part[wanted])


class Chunk(NamedTuple):
    """The disputed pixels of a stretch of pixels."""

    blocks: Blocks
    columns: Columns

    @property
    def disputed(self) -> int:
        """Return the number of pixels."""
        return int(self.blocks.pixels.sum()) + len(self.columns.target)

    @property
    def nbytes(self) -> int:
        """Return the number of bytes."""
        return sum(array.nbytes for array in (*self.blocks, *self.columns))

    def of_parts(self, wanted: np.ndarray) -> "Chunk":
        """Return the pixels of the parts for which `wanted`, bool (parts,), is true."""
        if wanted.all():
            return self
        return Chunk(self.blocks.of_groups(wanted[self.blocks.part]), self.columns.of_pixels(wanted[self.columns.part]))

    def kept_in(self, budget: Budget) -> "Chunk":
        """Return the same, in memory as far as the budget allows."""
        return Chunk(Blocks(*map(budget.keep, self.blocks)), Columns(*map(budget.keep, self.columns)))


class Packed(NamedTuple):
    """What a stretch of pixels becomes: its chunk, and by part what no vote changes."""

    chunk: Chunk
    agreed: np.ndarray  # int64 (parts, 2, classes): hits and predicted pixels where all candidates agree
    labelled: np.ndarray  # int64 (parts, classes): pixels of each target


def pixels_at_once(num_candidates: int, scratch_bytes: float = SCRATCH_BYTES) -> int:
    """Return how many pixels can be packed at a time within `scratch_bytes`, at least 1,024."""
    words = -(-num_candidates // WORD_BITS)
    pixel_bytes = num_candidates + 2 * (MOST_CLASSES - 1) * 8 * words
    return max(1024, min(CHUNK_PIXELS, int(min(scratch_bytes, SCRATCH_BYTES)) // pixel_bytes))


def pack_chunk(
    votes: Sequence[np.ndarray], target: np.ndarray, parts: np.ndarray, num_parts: int, ids: Ids
) -> Packed | None:
    """Pack the disputed pixels of a stretch of pixels.

    Args:
        votes: The candidates' class maps, uint8 (pixels,) each.
        target: uint8 (pixels,).
        parts: integers (pixels,), the part of each pixel.
        num_parts: The number of parts.
        ids: The ids that are allowed.

    Returns:
        The packed pixels; None where an id is not allowed.
    """
    # Kernels read the rows by address: strided ones are copied, and all are kept until the kernels are done.
    votes, target = [np.ascontiguousarray(row) for row in votes], np.ascontiguousarray(target)
    addresses = np.array([row.ctypes.data for row in votes], np.uint64)
    agreed = np.zeros((num_parts, 2, ids.num_classes), np.int64)
    labelled = np.zeros((num_parts, ids.num_classes), np.int64)
    packed = []
    for part, runs in _runs_of_parts(parts).items():
        tally, labels = np.zeros((256, 256), np.int64), np.zeros(256, np.int64)
        packing = new_packing(len(votes), int((runs[:, 1] - runs[:, 0]).sum()), MOST_GROUPS)
        if not pack_pixels(
            addresses, np.uint64(target.ctypes.data), runs, ids, tally, labels, packing
        ) or not _are_allowed(tally, labels, ids):
            return None
        tally[:, ids.ignore_index], labels[ids.ignore_index] = 0, 0
        labelled[part] = (labels + tally.sum(axis=0))[: ids.num_classes]
        tally[0] += tally[ABSTAIN]  # where all abstain, background wins
        tally = tally[: ids.num_classes, : ids.num_classes]
        agreed[part] = np.diagonal(tally), tally.sum(axis=1)
        packed.append(Chunk(finish_blocks(packing, part), _columns_of(packing, part)))
    return Packed(_join(packed, len(votes)), agreed, labelled)


def _runs_of_parts(parts: np.ndarray) -> dict[int, np.ndarray]:
    """Return, for each part, the first pixel and the end of each of its runs of pixels: int64 (runs, 2)."""
    if not len(parts):
        return {}
    starts = np.concatenate([[0], np.flatnonzero(parts[1:] != parts[:-1]) + 1])
    runs = np.stack([starts, np.append(starts[1:], len(parts))], axis=1)
    return {int(part): runs[parts[starts] == part] for part in np.unique(parts[starts])}


def _are_allowed(tally: np.ndarray, labels: np.ndarray, ids: Ids) -> bool:
    """Return whether only allowed ids are counted in `tally`, by vote and target, and in `labels`, by target."""
    wrong_vote, wrong_target = np.ones(256, bool), np.ones(256, bool)
    wrong_vote[: ids.num_classes] = wrong_target[: ids.num_classes] = False
    wrong_vote[ABSTAIN] = wrong_target[ids.ignore_index] = False
    return not (tally[wrong_vote].any() or tally[:, wrong_target].any() or labels[wrong_target].any())


def _columns_of(packing: Packing, part: int) -> Columns:
    used = packing.used["columns"][0]
    return Columns(
        votes=np.ascontiguousarray(packing.votes[:used].T),
        target=packing.target[:used].copy(),
        part=np.full(used, part, np.int64),
    )


def _join(chunks: list[Chunk], num_candidates: int) -> Chunk:
    """Put the chunks of several parts together."""
    columns = [chunk.columns for chunk in chunks]
    nothing = Columns(np.empty((num_candidates, 0), np.uint8), np.empty(0, np.uint8), np.empty(0, np.int64))
    joined = Columns(*(np.concatenate(arrays, axis=-1) for arrays in zip(nothing, *columns)))
    return Chunk(join_blocks([chunk.blocks for chunk in chunks], num_candidates), joined)


def refuse(votes: Sequence[np.ndarray], target: np.ndarray, ids: Ids, offset: int) -> NoReturn:
    """Raise the ValueError that names the first wrong id.

    Args:
        votes: The candidates' class maps, uint8 (pixels,) each.
        target: uint8 (pixels,).
        ids: The ids that are allowed.
        offset: The number of the first pixel.
    """
    wrong = (target >= ids.num_classes) & (target != ids.ignore_index)
    if wrong.any():
        pixel = int(np.argmax(wrong))
        raise ValueError(
            f"target: class id {target[pixel]} at pixel {offset + pixel}, but num_classes is {ids.num_classes}: "
            f"ids must be 0 to {ids.num_classes - 1}, or ignore_index ({ids.ignore_index})"
        )
    for candidate, row in enumerate(votes):
        check_class_ids(row, ids.num_classes, f"predictions of candidate {candidate}", offset)
    raise AssertionError("refused without a wrong id")
