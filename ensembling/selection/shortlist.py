"""Selection from hundreds of candidates on a gigapixel: a shortlist first, then the exact table of that alone.

One stream over all maps gives every candidate's exact own score, and a table of every fourth pixel each way. Half of
the shortlist are those that a greedy path on the sampled table adds, which finds weaker candidates that err elsewhere;
the others are the best by score. Time is linear in candidates and in pixels. The shortlist is a part of the selection,
so that the cross-fit draws up another for each fold, on the other folds alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensembling.counting.chunks import room_for
from ensembling.counting.table import VoteTable, build_table
from ensembling.scores import miou_from_counts
from ensembling.selection.ensemble_selection import (
    Options,
    Problem,
    Selection,
    check_problem,
    check_whole,
    select_from_tables,
)
from ensembling.selection.modes import grow, rank_by_score

STEP = 4
STREAM_BYTES = 1 << 28

Folds = tuple[int, ...]


def select_from_many(
    predictions: Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    options: Options,
    *,
    sizes: Sequence[tuple[int, int]],
    shortlist: int = 64,
    ignore_index: int = 255,
    image_ids: np.ndarray | None = None,
    threads: int = 1,
    memory_bytes: float = float("inf"),
) -> Selection:
    """`select_ensemble` among the `shortlist` most promising candidates; their maps may be memory-mapped.

    `sizes` are the images' (height, width), in the order of the pixels. Own scores, rankings and the selection's mIoU
    are exact; the baseline "all" is the vote of the shortlist. Raises ValueError as `select_ensemble` does, and where
    the sizes do not add up to the pixels.
    """
    problem = check_problem(
        predictions, target, num_classes, options, ignore_index=ignore_index, image_ids=image_ids, threads=threads
    )
    if sum(height * width for height, width in sizes) != problem.target.size:
        raise ValueError(f"sizes have {sum(h * w for h, w in sizes)} pixels, but target has {problem.target.size}")
    check_whole(shortlist, "shortlist", 1)
    every_fold = range(int(problem.fold_of_part.max(initial=0)) + 1)
    survey = _survey(problem, sizes, memory_bytes)
    scores = survey.scores(every_fold)
    lists, rankings = {}, {}
    for folds in _subsets(every_fold):
        rankings[folds] = tuple(rank_by_score(survey.scores(folds)))
        lists[folds] = _shortlist(survey.sample, folds, rankings[folds], problem.options, shortlist)
    del survey
    selection = select_from_tables(_Tables(problem, lists, memory_bytes), len(every_fold), problem.options)
    everywhere, *others = rankings.values()
    crossfit = replace(selection.crossfit, rankings=tuple(others))
    return replace(selection, ranking=everywhere, scores=scores, crossfit=crossfit)


def _subsets(every_fold: Sequence[int]) -> Iterator[Folds]:
    """All folds, then all but each."""
    yield tuple(every_fold)
    if len(every_fold) > 1:
        yield from (tuple(fold for fold in every_fold if fold != held_out) for held_out in every_fold)


class _Tables:
    """The tables of the shortlists; one is kept at a time, until another list is asked for."""

    def __init__(self, problem: Problem, lists: Mapping[Folds, tuple[int, ...]], memory_bytes: float) -> None:
        self._problem, self._lists, self._memory_bytes = problem, lists, memory_bytes
        self._candidates: tuple[int, ...] = ()
        self._table: VoteTable | None = None

    def __call__(self, folds: Sequence[int]) -> VoteTable:
        wanted = self._lists[tuple(folds)]
        if wanted != self._candidates:
            self._table = None  # before the next takes its room
            self._table = self._problem.build_table(wanted, self._memory_bytes)
            self._candidates = wanted
        return self._table


@dataclass(frozen=True, eq=False)
class _Survey:
    counts: np.ndarray
    """Of every candidate alone: int64 (folds, candidates, 3, num_classes)."""
    sample: VoteTable
    """Of the sampled pixels."""

    def scores(self, folds: Sequence[int]) -> np.ndarray:
        """Every candidate's own mIoU, float64 (candidates,)."""
        return miou_from_counts(self.counts[list(folds)].sum(axis=0))


def _survey(problem: Problem, sizes: Sequence[tuple[int, int]], memory_bytes: float) -> _Survey:
    """In one stream."""
    candidates, pixels, num_parts = len(problem.rows), problem.target.size, len(problem.fold_of_part)
    num_folds = int(problem.fold_of_part.max(initial=0)) + 1
    counts = np.zeros((num_folds, candidates, 3, problem.num_classes), np.int64)
    sample = VoteTable(candidates, problem.num_classes, num_parts, problem.threads, 0.75 * memory_bytes)
    sampled = _sampled_pixels(sizes)
    room = problem.threads * room_for(candidates, problem.num_classes, memory_bytes / 4 / problem.threads)
    step = min(room, max(1 << 16, STREAM_BYTES // candidates))
    # What is sampled of so many steps makes one more of their size; many small tables would be slow to count on.
    for window in _stretches(slice(0, pixels), STEP**2 * step):
        for part in _stretches(window, step):
            whole = _part_table(problem, part, slice(None))
            whole.group(problem.fold_of_part)
            for fold in range(num_folds):
                counts[fold] += whole.addition_counts([], [fold])
        chosen = sampled[slice(*np.searchsorted(sampled, [window.start, window.stop]))]
        sample.take_in(_part_table(problem, window, chosen - window.start))
    sample.group(problem.fold_of_part)
    return _Survey(counts, sample)


def _stretches(whole: slice, size: int) -> Iterator[slice]:
    for start in range(whole.start, whole.stop, size):
        yield slice(start, min(start + size, whole.stop))


def _part_table(problem: Problem, part: slice, chosen: slice | np.ndarray) -> VoteTable:
    """Of the `chosen` of some pixels; the table's folds are the problem's parts."""
    target = problem.target[part][chosen]
    return build_table(
        [row[part][chosen] for row in problem.rows],
        target,
        problem.num_classes,
        ignore_index=problem.ignore_index,
        fold_of_pixel=problem.part_of_pixel[part][chosen],
        num_folds=len(problem.fold_of_part),
        chunk_pixels=max(1, -(-len(target) // problem.threads)),
        threads=problem.threads,
        offset=part.start,
    )


def _sampled_pixels(sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """Places of every fourth pixel each way, ascending: int64."""
    starts = np.cumsum([0, *(height * width for height, width in sizes)])
    grids = [
        start + (np.arange(0, height, STEP)[:, None] * width + np.arange(0, width, STEP)).reshape(-1)
        for start, (height, width) in zip(starts, sizes)
    ]
    return np.concatenate([np.empty(0, np.int64), *grids])


def _shortlist(
    sample: VoteTable, folds: Sequence[int], ranking: Sequence[int], options: Options, most: int
) -> tuple[int, ...]:
    """Candidates, ascending: those named in the options, then a path of half as many as `most`, then by rank."""
    sample.rerank(ranking)
    path, _ = grow(sample, folds, [0], min(-(-most // 2), len(ranking)), range(len(ranking)))
    named = dict.fromkeys((*options.must_include, *options.start))
    kept = list(dict.fromkeys((*named, *(ranking[rank] for rank in path), *ranking)))
    return tuple(sorted(kept[: max(most, len(named))]))
