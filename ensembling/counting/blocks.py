"""Blocks of 64 pixels with the same classes and the same target, of which a candidate's votes are words of 64 bits."""

from typing import NamedTuple

import numpy as np

from ensembling.counting.bits import NONE, WORD_BITS
from ensembling.counting.group_pixels import MOST_CLASSES, Packing
from ensembling.kernels import compiled
from ensembling.vote import ABSTAIN


class Blocks(NamedTuple):
    """Groups of pixels in blocks of 64; the last block of a group may be filled in part.

    Of each class of a group but the last there is a row for each block: a word for each candidate, whose bit i says
    whether it votes for that class at pixel i. Whoever votes for none of these votes for the last class. The rows of a
    group follow one another, class by class, from `first_row` on.
    """

    classes: np.ndarray  # uint8 (groups, MOST_CLASSES), ascending; 255 where there are fewer
    num_classes: np.ndarray  # int64 (groups,)
    target: np.ndarray  # int64 (groups,), index of the target among the classes; their number where it is none of them
    part: np.ndarray  # int64 (groups,), the part of all pixels to which these belong
    pixels: np.ndarray  # int64 (groups,)
    first_row: np.ndarray  # int64 (groups,)
    rows: np.ndarray  # uint64 (rows, 64 * words), padded to a multiple of 64 candidates

    def of_groups(self, wanted: np.ndarray) -> "Blocks":
        """Return the groups for which `wanted`, bool (groups,), is true; all rows stay."""
        return Blocks(*(column[wanted] for column in self[:-1]), self.rows)

    @property
    def num_blocks(self) -> np.ndarray:
        """Return the number of blocks of each group: int64 (groups,)."""
        return -(-self.pixels // WORD_BITS)


def finish_blocks(packing: Packing, part: int) -> Blocks:
    """Bring what is packed into blocks, group by group; all of it belongs to this part."""
    groups = np.flatnonzero(packing.pixels)
    keys = packing.keys[groups]
    classes = keys.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :MOST_CLASSES].copy()
    num_classes, pixels = np.count_nonzero(classes != ABSTAIN, axis=1), packing.pixels[groups]
    num_rows = (num_classes - 1) * -(-pixels // WORD_BITS)
    blocks = Blocks(
        classes=classes,
        num_classes=num_classes,
        target=keys >> 8 * MOST_CLASSES,
        part=np.full(len(groups), part),
        pixels=pixels,
        first_row=np.cumsum(num_rows) - num_rows,
        rows=np.empty((num_rows.sum(), packing.masks.shape[1]), np.uint64),
    )
    group_of_block = np.searchsorted(groups, packing.group_of_block[: packing.used["blocks"][0]])
    rows_of_block = num_classes[group_of_block] - 1
    order = np.argsort(group_of_block, kind="stable")
    _turn_blocks(packing.masks, (np.cumsum(rows_of_block) - rows_of_block)[order], blocks)
    return blocks


def join_blocks(several: list[Blocks], num_candidates: int) -> Blocks:
    """Put the blocks of several parts together."""
    rows = np.empty((0, -(-num_candidates // WORD_BITS) * WORD_BITS), np.uint64)
    none = np.empty(0, np.int64)
    joined = [Blocks(np.empty((0, MOST_CLASSES), np.uint8), none, none, none, none, none, rows)]
    offset = 0
    for blocks in several:
        joined.append(blocks._replace(first_row=blocks.first_row + offset))
        offset += len(blocks.rows)
    return Blocks(*(np.concatenate(columns) for columns in zip(*joined)))


def unpack_blocks(blocks: Blocks, num_candidates: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the class ids of which the blocks are made: votes uint8 (candidates, pixels) and target uint8 (pixels,).

    A target that none of a pixel's candidates votes for is lost; it is 255 here.
    """
    votes, targets = [np.empty((num_candidates, 0), np.uint8)], [np.empty(0, np.uint8)]
    for group, blocks_of_group in enumerate(blocks.num_blocks):
        number, first = blocks.num_classes[group], blocks.first_row[group]
        rows = blocks.rows[first : first + (number - 1) * blocks_of_group, :num_candidates]
        bits = np.unpackbits(
            rows.astype("<u8").reshape(number - 1, -1, num_candidates, 1).view(np.uint8), axis=-1, bitorder="little"
        )
        ids = np.full(bits.shape[1:], blocks.classes[group, number - 1])
        for class_id, is_vote in zip(blocks.classes[group], bits):
            ids[is_vote.astype(bool)] = class_id
        votes.append(np.moveaxis(ids, 1, 0).reshape(num_candidates, -1)[:, : blocks.pixels[group]])
        label = blocks.classes[group, blocks.target[group]] if blocks.target[group] < number else ABSTAIN
        targets.append(np.full(blocks.pixels[group], label, np.uint8))
    return np.concatenate(votes, axis=1), np.concatenate(targets)


@compiled
def _turn_blocks(masks, first_masks, blocks):  # pragma: no cover - compiled
    """Turn masks, of a bit a candidate, to words of a bit a pixel: the block i of all has its own from first_masks[i].

    Bits beyond a group's last pixel become 0.
    """
    block = 0
    for group in range(blocks.pixels.size):
        number, row, pixels = blocks.num_classes[group] - 1, blocks.first_row[group], blocks.pixels[group]
        num_blocks = (pixels + WORD_BITS - 1) // WORD_BITS
        for index in range(num_blocks):
            filled = min(pixels - index * WORD_BITS, WORD_BITS)
            for kind in range(number):
                turned = blocks.rows[row + kind * num_blocks + index]
                for start in range(0, turned.size, WORD_BITS):
                    for pixel in range(start, start + WORD_BITS):
                        is_filled = pixel < start + filled
                        turned[pixel] = masks[first_masks[block] + kind, pixel] if is_filled else NONE
                    _transpose(turned[start : start + WORD_BITS])
            block += 1


@compiled
def _transpose(square):  # pragma: no cover - compiled
    """Turn 64 words of 64 bits: bit i of word j becomes bit j of word i, in six rounds of swapped quarters."""
    width, mask = 32, np.uint64(0x00000000FFFFFFFF)
    while width:
        shift = np.uint64(width)
        for start in range(0, WORD_BITS, 2 * width):
            for word in range(start, start + width):
                swapped = ((square[word] >> shift) ^ square[word + width]) & mask
                square[word] ^= swapped << shift
                square[word + width] ^= swapped
        width >>= 1
        mask ^= mask << np.uint64(width)
