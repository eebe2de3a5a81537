"""Chunks of the table: the disputed pixels of a stretch of pixels, packed, and how they follow a new ranking."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from ensembling.counting import blocks
from ensembling.counting.grouping import MOST_CLASSES, UNKNOWN, Ids, Room
from ensembling.counting.packing import pack_pixels
from ensembling.counting.words import ABSTAIN, NONE, ONE, WORD_BITS
from ensembling.kernels import compiled
from ensembling.memory import mapped
from ensembling.vote import check_class_ids

CHUNK_PIXELS = 1 << 22
SCRATCH_BYTES = 1 << 30  # reserved, and touched as far as pixels are disputed
# Smaller groups would waste most of their blocks.
LEAST_PIXELS = 16


@dataclass(frozen=True)
class Chunk:
    """The disputed pixels of some neighbouring pixels: blocks of those in groups (see blocks.py), and single ones."""

    groups: np.ndarray  # int64 (groups, columns), see blocks.Group
    rows: np.ndarray  # uint64 (rows, 64 * words)
    spans: np.ndarray  # int64 (spans, 3): first slot, end and fold; a slot is 64 * block + bit
    slots: np.ndarray  # uint64 (blocks,): the bits that hold a pixel
    labels: np.ndarray  # uint8 (singles,)
    kinds: np.ndarray  # uint16 (singles,), how many of `classes` and, less one, of `voters` belong to each
    classes: np.ndarray  # uint8 (entries,)
    voters: np.ndarray  # uint64 (entries - singles, words)
    runs: np.ndarray  # int64 (runs, 4): first single, end, first entry, fold

    def of_folds(self, wanted: np.ndarray) -> "Chunk":
        """A view of the folds whose place in `wanted` bool (folds,) is true."""
        if wanted.all():
            return self
        slots = np.zeros_like(self.slots)
        blocks.select_slots(self.spans, wanted, slots)
        return replace(self, slots=slots, runs=self.runs[wanted[self.runs[:, 3]]])

    def in_file(self) -> "Chunk":
        """The same, mapped from a file that is gone with it."""
        return Chunk(*(mapped(array) for array in vars(self).values()))

    @property
    def singles(self) -> tuple[np.ndarray, ...]:
        """What the kernels of counting_singly.py take."""
        return self.labels, self.kinds, self.classes, self.voters, self.runs

    @property
    def disputed(self) -> int:
        return int(np.bitwise_count(self.slots).sum()) + len(self.labels)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in vars(self).values())


def room_for(num_candidates: int, num_classes: int, scratch_bytes: float = SCRATCH_BYTES) -> int:
    """How many pixels at a time can be packed within `scratch_bytes`, but at least 1,024."""
    words, kinds = -(-num_candidates // WORD_BITS), min(num_candidates, num_classes + 1)
    pixel_bytes = 8 + (min(kinds, MOST_CLASSES) + kinds) * 8 * words + kinds
    return max(1024, min(CHUNK_PIXELS, int(min(scratch_bytes, SCRATCH_BYTES)) // pixel_bytes))


def pack_chunk(
    votes: list[np.ndarray],
    target: np.ndarray,
    folds: np.ndarray,
    num_classes: int,
    ignore_index: int,
    num_folds: int,
    room: Room,
) -> tuple[Chunk, np.ndarray, np.ndarray] | None:
    """The chunk; what all agree on (folds, 2, classes); targets (folds, classes). None where an id is refused.

    `room` is what `make_room` made for as many pixels or more. It is free again afterwards.
    """
    starts = _run_starts(folds)
    if len(starts) > len(np.unique(folds[starts])):
        # Folds that return in a chunk would make many short runs.
        order = np.argsort(folds, kind="stable")
        votes, target, folds = [row[order] for row in votes], target[order], folds[order]
        starts = _run_starts(folds)
    # Kernels read the rows by address; strided ones are copied, and all are kept until the kernels are done.
    votes, target = [np.ascontiguousarray(row) for row in votes], np.ascontiguousarray(target)
    addresses = np.array([row.ctypes.data for row in votes], np.uint64)
    ids = _meanings(num_classes, ignore_index)
    room.known[:], room.group_of_pair[:], room.used[:] = -1, UNKNOWN, 0
    agreed, labelled = np.zeros((num_folds, 2, num_classes), np.int64), np.zeros((num_folds, num_classes), np.int64)
    before = []
    for start, stop in zip(starts, [*starts[1:], len(target)], strict=True):
        fold = int(folds[start])
        before.append([room.used[0], room.used[3], room.used[4], fold])
        tally, labels = np.zeros((num_classes + 2,) * 2, np.int64), np.zeros(num_classes + 2, np.int64)
        if not pack_pixels(addresses + np.uint64(start), target[start:stop], ids, tally, labels, room):
            return None
        labelled[fold] += labels[:num_classes] + tally[:, :num_classes].sum(axis=0)
        votes_of = tally[:num_classes, :num_classes]
        votes_of[0] += tally[num_classes, :num_classes]  # where all abstain, background wins
        agreed[fold] += np.diagonal(votes_of), votes_of.sum(axis=1)
    return _chunk_of(room, np.array(before, np.int64).reshape(-1, 4)), agreed, labelled


def _run_starts(folds: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.flatnonzero(folds[1:] != folds[:-1]) + 1]) if len(folds) else np.empty(0, np.int64)


def _chunk_of(room: Room, before: np.ndarray) -> Chunk:
    """The chunk of packed pixels. `before` (runs, 4): grouped, singles, entries before a fold's run, and its fold."""
    grouped, entries, num_groups, singles, classes, voters = (int(number) for number in room.used)
    members, masks, folds = room.groups[:grouped], room.voters[:entries], before[:, [0, 3]]
    groups = blocks.read_keys(room.keys[:num_groups])
    num_blocks, num_rows, pixels, kinds = blocks.place_groups(groups, members, LEAST_PIXELS)
    rows, slots = np.zeros((num_rows, masks.shape[1] * WORD_BITS), np.uint64), np.zeros(num_blocks, np.uint64)
    small = [np.empty(pixels, np.uint8), np.empty(pixels, np.uint16), np.empty(kinds, np.uint8)]
    small.append(np.empty((kinds - pixels, masks.shape[1]), np.uint64))
    spans, taken = blocks.place_pixels(groups, members, masks, folds, rows, *small)
    blocks.select_slots(spans, np.ones(int(before[:, 3].max(initial=0)) + 1, np.bool_), slots)
    runs = np.stack([before[:, 1], np.append(before[1:, 1], singles), before[:, 2], before[:, 3]], axis=1)
    runs = np.concatenate([runs[: len(before)], taken + np.array([singles, singles, classes, 0])])
    rare = (room.labels[:singles], room.kinds[:singles], room.classes[:classes], room.others[:voters])
    joined = (np.concatenate(parts) for parts in zip(rare, small, strict=True))
    return Chunk(groups, rows, spans, slots, *joined, runs[runs[:, 1] > runs[:, 0]])


def _meanings(num_classes: int, ignore_index: int) -> Ids:
    of_vote, of_label = np.full((2, 256), num_classes + 1, np.uint16)
    of_vote[:num_classes] = of_label[:num_classes] = np.arange(num_classes)
    of_vote[ABSTAIN] = of_label[ignore_index] = num_classes
    return Ids(of_vote, of_label)


def refuse(
    votes: Sequence[np.ndarray], target: np.ndarray, num_classes: int, ignore_index: int, offset: int
) -> NoReturn:
    """Raise the ValueError that names the first wrong id of targets or candidates."""
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


def moved_bytes(moves: np.ndarray) -> np.ndarray:
    """Where the bits of each byte of a mask go when bit i moves to bit moves[i]: uint64 (bytes, 256, words)."""
    num_bytes = -(-len(moves) // 8)
    moved = np.zeros((num_bytes, 256, -(-len(moves) // WORD_BITS)), np.uint64)
    values = np.arange(256, dtype=np.uint64)
    for bit, new in enumerate(moves):
        is_set = (values >> np.uint64(bit % 8)) & ONE
        moved[bit // 8, :, new // WORD_BITS] |= is_set << np.uint64(new % WORD_BITS)
    return moved


@compiled
def move_bits(masks, moved):  # pragma: no cover - compiled
    """Move the bits of masks (words, masks)."""
    old = np.empty(masks.shape[0], np.uint64)
    for mask in range(masks.shape[1]):
        for word in range(masks.shape[0]):
            old[word] = masks[word, mask]
            masks[word, mask] = NONE
        for place in range(moved.shape[0]):
            byte = (old[place // 8] >> np.uint64(8 * (place % 8))) & np.uint64(255)
            for word in range(masks.shape[0]):
                masks[word, mask] |= moved[place, byte, word]


@compiled
def move_words(rows, old_ranks):  # pragma: no cover - compiled
    """Put each row's words of candidates, old_ranks (candidates,), in their new order."""
    old = np.empty(old_ranks.size, np.uint64)
    for row in range(rows.shape[0]):
        for rank in range(old_ranks.size):
            old[rank] = rows[row, old_ranks[rank]]
        for rank in range(old_ranks.size):
            rows[row, rank] = old[rank]
