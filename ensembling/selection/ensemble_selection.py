"""Which candidates to let vote: the set with the highest mIoU of its hard vote, by one of several searches.

The default is ensemble selection of Caruana et al., "Ensemble Selection from Libraries of Models" (ICML 2004), without
replacement and with a vote that has ranks. Two members vote as the better one alone, so the path never stops at a step
without gain: it runs on to `max_members`, and the answer is its shortest prefix that attains its highest mIoU.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensembling.counting.table import Folds, VoteTable, build_table
from ensembling.scores import iou_from_counts, miou_from_counts
from ensembling.selection import modes
from ensembling.selection.crossfit import CrossFit, crossfit, fold_of_pixels
from ensembling.selection.exhaustive import exhaustive
from ensembling.selection.modes import Found, Limits, rank_by_score
from ensembling.vote import check_num_classes

MODES: dict[str, modes.Search] = {
    "greedy": modes.greedy,
    "swap": modes.swap,
    "beam": modes.beam,
    "exhaustive": exhaustive,
    "bagged_images": modes.bagged_images,
    "bagged_runs": modes.bagged_runs,
    "replacement": modes.replacement,
}


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen ensemble, how it was found, and what to compare it with. Candidates are named by their index.

    All scores are on the pixels whose target is not `ignore_index`; a candidate's own is that of its vote alone, in
    which an abstention (255) becomes class 0.
    """

    members: tuple[int, ...]
    """In rank order: the rows for `hard_vote`."""
    weights: tuple[int, ...]
    """Number of votes of each member: 1, except in the bagged modes and with replacement."""
    miou: float
    iou: np.ndarray
    """Of the members' vote, float64 (num_classes,); NaN for a class in neither target nor vote."""
    path: tuple[int, ...]
    """Candidates in the order of their adding; the members are a prefix of it, by rank. Modes without a path have the
    members by rank here; with replacement a candidate is in it once for each vote."""
    path_miou: tuple[float, ...]
    """Of the vote after each step of the path."""
    crossfit_miou: float
    """Estimate for images not selected on; NaN without `image_ids` or with fewer than two images."""
    crossfit: CrossFit
    """Who votes in that estimate; nobody without it."""
    baselines: dict[str, float]
    """mIoU of "best_single", "top_3", "top_5" (all, if there are fewer) and "all"."""
    ranking: tuple[int, ...]
    """All candidates, best first."""
    scores: np.ndarray
    """Each candidate's own mIoU, float64 (candidates,), by index."""


@dataclass(frozen=True)
class Options:
    """How to search. Candidates are named by their index."""

    mode: str = "greedy"
    max_members: int = 15
    must_include: tuple[int, ...] = ()
    start: tuple[int, ...] = ()
    beam_width: int = 8
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked arguments. The table keeps the parts of pixels apart (folds of the cross-fit, or images)."""

    rows: list[np.ndarray]
    target: np.ndarray
    num_classes: int
    options: Options
    ignore_index: int
    part_of_pixel: np.ndarray
    fold_of_part: np.ndarray
    threads: int

    def build_table(self, candidates: Iterable[int], memory_bytes: float = float("inf")) -> VoteTable:
        """The table of some candidates, ascending; what exceeds `memory_bytes` of it is kept in temporary files."""
        candidates = tuple(candidates)
        table = build_table(
            [self.rows[index] for index in candidates],
            self.target,
            self.num_classes,
            ignore_index=self.ignore_index,
            fold_of_pixel=self.part_of_pixel,
            num_folds=len(self.fold_of_part),
            threads=self.threads,
            memory_bytes=memory_bytes,
        )
        table.group(self.fold_of_part)
        table.ranking = candidates
        return table


def select_ensemble(
    predictions: np.ndarray | Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    *,
    mode: str = "greedy",
    max_members: int = 15,
    must_include: Iterable[int] = (),
    start: Iterable[int] = (),
    beam_width: int = 8,
    ignore_index: int = 255,
    image_ids: np.ndarray | Sequence[int] | Sequence[str] | None = None,
    seed: int = 0,
    threads: int = 1,
    memory_bytes: float = float("inf"),
) -> Selection:
    """The set of candidates whose hard vote scores highest on `target`, as far as the search `mode` finds it.

    `predictions` is uint8 (candidates, pixels) or a sequence of such rows (memory-mapped ones are read in blocks),
    class ids below `num_classes`, or 255 to abstain; `target` is uint8 (pixels,). Candidates are ranked by their own
    mIoU, ties by lower index; ties between candidates for a step go to the better rank; differences up to 1e-12 are
    ties. With `image_ids` (pixels,), integers or strings, the result is cross-fitted over up to five folds of images,
    which `seed` shuffles. If no pixel counts, every mIoU is 0.

    Modes: "greedy"; "swap" (drop, swap, add until none helps); "beam" of `beam_width` sets; "exhaustive" (to 16
    candidates); "bagged_images" (needs `image_ids`) and "bagged_runs", greedy on random samples of images or
    candidates, each a vote for who is chosen; "replacement", greedy that may give a candidate several votes. The
    candidates in `must_include` are members in any case. Those in `start` begin every path: "swap" alone may drop them
    again, and "exhaustive" refuses them. The result depends neither on `threads` nor on `memory_bytes`, which bounds
    what is kept in memory beside the arguments and two bytes a pixel: the rest is in temporary files. Raises ValueError
    for wrong shapes, dtypes, ids or options.
    """
    problem = check_problem(
        predictions,
        target,
        num_classes,
        Options(mode, max_members, tuple(must_include), tuple(start), beam_width, seed),
        ignore_index=ignore_index,
        image_ids=image_ids,
        threads=threads,
    )
    return select_from_table(problem.build_table(range(len(problem.rows)), memory_bytes), problem.options)


def select_from_table(table: VoteTable, options: Options) -> Selection:
    """`select_ensemble` on a table that is built; its folds are those of the cross-fit. Reranks the table."""
    return select_from_tables(lambda folds: table, table.num_folds, options)


def select_from_tables(table_for: Callable[[Sequence[int]], VoteTable], num_folds: int, options: Options) -> Selection:
    """The same where `table_for(folds)` has the candidates that may be chosen on `folds`; the last call names all."""
    estimate, fit = crossfit(table_for, num_folds, lambda table, folds: search(table, folds, options).votes)
    folds = range(num_folds)
    table = table_for(folds)
    found = search(table, folds, options)
    counts = table.vote_counts(found.votes, folds)
    ranking = table.ranking
    return Selection(
        members=tuple(ranking[rank] for rank in found.votes),
        weights=tuple(found.votes.values()),
        miou=float(miou_from_counts(counts)),
        iou=iou_from_counts(counts),
        path=tuple(ranking[rank] for rank in found.path),
        path_miou=tuple(found.path_miou),
        crossfit_miou=estimate,
        crossfit=fit,
        baselines=_baselines(table),
        ranking=ranking,
        scores=own_scores(table, folds)[np.argsort(ranking)],
    )


def search(table: VoteTable, folds: Folds, options: Options) -> Found:
    """Rank the candidates by their own mIoU on `folds`, then search there by the mode: an answer in ranks."""
    by_index = np.argsort(table.ranking)
    order = by_index[rank_by_score(own_scores(table, folds)[by_index])]
    table.rerank([table.ranking[rank] for rank in order])
    must_include, start = (
        tuple(table.ranking.index(candidate) for candidate in given) for given in (options.must_include, options.start)
    )
    limits = Limits(options.max_members, must_include, start, options.beam_width, options.seed)
    return MODES[options.mode](table, folds, limits)


def own_scores(table: VoteTable, folds: Folds) -> np.ndarray:
    """mIoU of each candidate alone on the pixels of `folds`: float64 (candidates,), by rank."""
    return miou_from_counts(table.addition_counts([], folds))


def _baselines(table: VoteTable) -> dict[str, float]:
    candidates = len(table.ranking)
    sizes = {"best_single": 1, "top_3": min(3, candidates), "top_5": min(5, candidates), "all": candidates}
    folds = range(table.num_folds)
    return {name: float(miou_from_counts(table.vote_counts(range(size), folds))) for name, size in sizes.items()}


def check_problem(
    predictions: np.ndarray | Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    options: Options,
    *,
    ignore_index: int,
    image_ids: np.ndarray | Sequence[int] | Sequence[str] | None,
    threads: int,
) -> Problem:
    """The arguments of `select_ensemble`, or ValueError for the first that is wrong."""
    num_classes = check_num_classes(num_classes)
    ignore_index = check_whole(ignore_index, "ignore_index", 0, 255)
    target = _check_pixels(target, "target")
    rows = _check_rows(predictions, target.size)
    options = check_options(options, len(rows))
    parts, fold_of_part = np.zeros(target.size, np.uint8), np.zeros(1, np.int64)
    if image_ids is not None:
        parts, fold_of_part = _parts(_check_image_ids(image_ids, target.size), options)
    elif options.mode == "bagged_images":
        raise ValueError("mode 'bagged_images' draws images, so it needs image_ids: the image of each pixel")
    threads = check_whole(threads, "threads", 1)
    return Problem(rows, target, num_classes, options, ignore_index, parts, fold_of_part, threads)


def check_options(options: Options, candidates: int) -> Options:
    """The same with plain numbers, each candidate named once. Raises ValueError for what does not fit."""
    if options.mode not in MODES:
        raise ValueError(f"mode is {options.mode!r}, but must be one of {', '.join(MODES)}")
    given = {
        name: tuple(dict.fromkeys(check_whole(index, f"a candidate of {name}", 0, candidates - 1) for index in indices))
        for name, indices in (("must_include", options.must_include), ("start", options.start))
    }
    max_members = check_whole(options.max_members, "max_members", 1)
    named = len({*given["must_include"], *given["start"]})
    if named > max_members:
        raise ValueError(f"must_include and start name {named} candidates, but max_members is {max_members}")
    if options.mode == "exhaustive" and given["start"]:
        raise ValueError("mode 'exhaustive' tries all sets, wherever it starts: leave start out, or use must_include")
    beam_width, seed = check_whole(options.beam_width, "beam_width", 1), check_whole(options.seed, "seed", 0)
    return replace(options, max_members=max_members, beam_width=beam_width, seed=seed, **given)


def _parts(image_ids: np.ndarray, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """What the table keeps apart: the part of each pixel, and the fold of each part. Images, if they are drawn."""
    if options.mode != "bagged_images":
        folds, num_folds = fold_of_pixels(image_ids, options.seed)
        return folds, np.arange(num_folds)
    if not image_ids.size:
        return np.zeros(0, np.int32), np.zeros(1, np.int64)
    starts = np.concatenate([[0], np.flatnonzero(image_ids[1:] != image_ids[:-1]) + 1])
    images, image_of_run = np.unique(image_ids[starts], return_inverse=True)
    parts = np.repeat(image_of_run.astype(np.min_scalar_type(len(images) - 1)), np.diff(starts, append=image_ids.size))
    return parts, fold_of_pixels(images, options.seed)[0].astype(np.int64)


def check_whole(value: int, name: str, least: int, most: int | None = None) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}, but must be a whole number") from None
    if number < least or (most is not None and number > most):
        allowed = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {number}, but must be {allowed}")
    return number


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
