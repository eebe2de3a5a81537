"""The class maps among which to select, checked, and the vote tables that are built of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.counting import VoteTable, build_table
from ensembling.memory_budget import Budget
from ensembling.selection.crossfit import fold_of_pixels
from ensembling.selection.options import Options, check_options, check_whole
from ensembling.vote import check_num_classes


@dataclass(frozen=True, eq=False)
class SelectionInputs:
    """The checked arguments of a selection.

    Parts are what a table keeps apart: the folds of the cross-fit, or single images where a mode draws these.
    """

    rows: list[np.ndarray]
    """The class map of each candidate, uint8 (pixels,)."""
    target: np.ndarray
    num_classes: int
    options: Options
    ignore_index: int
    part_of_pixel: np.ndarray
    """Integers (pixels,)."""
    fold_of_part: np.ndarray
    """Int64 (parts,)."""
    threads: int

    @property
    def num_folds(self) -> int:
        return int(self.fold_of_part.max(initial=0)) + 1

    def build_table(
        self,
        candidates: Iterable[int] | None = None,
        memory_bytes: float = float("inf"),
    ) -> VoteTable:
        """Build the table of all candidates, or of some, ascending.

        What it needs beyond `memory_bytes` is in temporary files; a quarter of these are for packing.
        """
        candidates = tuple(range(len(self.rows)) if candidates is None else candidates)
        return build_table(
            [self.rows[index] for index in candidates],
            self.target,
            self.num_classes,
            candidates=candidates,
            ignore_index=self.ignore_index,
            part_of_pixel=self.part_of_pixel,
            fold_of_part=self.fold_of_part,
            threads=self.threads,
            scratch_bytes=memory_bytes / 4,
            budget=Budget(0.75 * memory_bytes),
        )


def check_inputs(
    predictions: np.ndarray | Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    options: Options,
    *,
    ignore_index: int,
    image_ids: np.ndarray | Sequence[int] | Sequence[str] | None,
    threads: int,
) -> SelectionInputs:
    """Return the arguments of `select_ensemble` in one record.

    The arguments are described there. Raises ValueError for the first that is wrong.
    """
    num_classes = check_num_classes(num_classes)
    ignore_index = check_whole(ignore_index, "ignore_index", 0, 255)
    target = _check_pixels(target, "target")
    rows = _check_rows(predictions, target.size)
    options = check_options(options, len(rows))
    part_of_pixel, fold_of_part = np.zeros(target.size, np.uint8), np.zeros(1, np.int64)
    if image_ids is not None:
        part_of_pixel, fold_of_part = _parts(_check_image_ids(image_ids, target.size), options)
    elif options.mode == "bagged_images":
        raise ValueError("mode 'bagged_images' draws images, so it needs image_ids: the image of each pixel")
    threads = check_whole(threads, "threads", 1)
    return SelectionInputs(rows, target, num_classes, options, ignore_index, part_of_pixel, fold_of_part, threads)


def _parts(image_ids: np.ndarray, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of each pixel, and the fold of each part. Parts are images if these are drawn, folds if not."""
    if options.mode != "bagged_images":
        folds, num_folds = fold_of_pixels(image_ids, options.seed)
        return folds, np.arange(num_folds)
    if not image_ids.size:
        return np.zeros(0, np.int32), np.zeros(1, np.int64)
    starts = np.concatenate([[0], np.flatnonzero(image_ids[1:] != image_ids[:-1]) + 1])
    images, image_of_run = np.unique(image_ids[starts], return_inverse=True)
    parts = np.repeat(image_of_run.astype(np.min_scalar_type(len(images) - 1)), np.diff(starts, append=image_ids.size))
    return parts, fold_of_pixels(images, options.seed)[0].astype(np.int64)


def _check_pixels(row: np.ndarray, name: str) -> np.ndarray:
    row = np.asarray(row)
    if row.dtype != np.uint8:
        raise ValueError(f"{name} is {row.dtype}, but must be uint8 class ids: convert it with .astype(np.uint8)")
    if row.ndim != 1:
        raise ValueError(f"{name} has shape {row.shape}, but must be (pixels,): flatten its maps with .reshape(-1)")
    return row


def _check_rows(predictions: np.ndarray | Sequence[np.ndarray], pixels: int) -> list[np.ndarray]:
    rows = [_check_pixels(row, f"predictions of candidate {index}") for index, row in enumerate(predictions)]
    if not rows:
        raise ValueError("predictions hold no candidate: at least one is needed")
    for index, row in enumerate(rows):
        if row.size != pixels:
            raise ValueError(f"predictions of candidate {index} have {row.size} pixels, but target has {pixels}")
    return rows


def _check_image_ids(image_ids: np.ndarray | Sequence[int] | Sequence[str], pixels: int) -> np.ndarray:
    ids = np.asarray(image_ids)
    if ids.shape != (pixels,):
        raise ValueError(f"image_ids have shape {ids.shape}, but must be ({pixels},): the image of each target pixel")
    if pixels and ids.dtype.kind not in "iuSU":
        raise ValueError(f"image_ids are {ids.dtype}, but must be integers or strings")
    return ids
