"""Selection from hundreds of candidates on a gigapixel: a shortlist first, then the exact table of that alone.

All maps are read once for every candidate's exact own score and a table of every fourth pixel each way. Half of the
shortlist are those that a greedy path on the sampled table adds, which finds weaker candidates that err elsewhere; the
others are the best by score. Time is linear in candidates and in pixels. The shortlist is a part of the selection, so
that the cross-fit draws up another for each fold, on the other folds alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensembling.counting import VoteTable, build_table
from ensembling.memory_budget import Budget
from ensembling.scores import miou_from_counts
from ensembling.selection.ensemble_selection import add_greedily, rank_by_miou
from ensembling.selection.inputs import SelectionInputs, check_inputs
from ensembling.selection.options import Options, check_whole
from ensembling.selection.select_ensemble import Selection, select_from_tables

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
    """Select as `select_ensemble` does, among the `shortlist` most promising candidates.

    Own scores, rankings and the selection's mIoU are exact; the baseline "all" is the vote of the shortlist.

    Args:
        predictions: the class map of each candidate, uint8 (pixels,); they may be memory-mapped.
        target: uint8 (pixels,).
        num_classes: 1 to 255.
        options: how to search.
        sizes: the images' (height, width), in the order of the pixels.
        shortlist: how many candidates are looked at closely.
        ignore_index: pixels of this target do not count.
        image_ids: integers or strings (pixels,), the image of each pixel, for the cross-fit.
        threads: how many threads count; they change no result.
        memory_bytes: what may be kept in memory beside the arguments; it changes no result.

    Raises:
        ValueError: as `select_ensemble` does, and where the sizes do not add up to the pixels.
    """
    inputs = check_inputs(
        predictions, target, num_classes, options, ignore_index=ignore_index, image_ids=image_ids, threads=threads
    )
    if sum(height * width for height, width in sizes) != inputs.target.size:
        raise ValueError(f"sizes have {sum(h * w for h, w in sizes)} pixels, but target has {inputs.target.size}")
    check_whole(shortlist, "shortlist", 1)
    every_fold = range(inputs.num_folds)
    survey = _survey(inputs, sizes, memory_bytes)
    scores = survey.scores(every_fold)
    lists, rankings = {}, {}
    for folds in _subsets(every_fold):
        rankings[folds] = tuple(rank_by_miou(survey.scores(folds)))
        sample = survey.sample.on(folds).ranked(rankings[folds])
        lists[folds] = _shortlist(sample, inputs.options, shortlist)
    del survey, sample
    selection = select_from_tables(_Tables(inputs, lists, memory_bytes), len(every_fold), inputs.options)
    everywhere, *others = rankings.values()
    crossfit = replace(selection.crossfit, rankings=tuple(others))
    return replace(selection, ranking=everywhere, scores=scores, crossfit=crossfit)


def _subsets(every_fold: Sequence[int]) -> Iterator[Folds]:
    """Yield all folds, then all but each."""
    yield tuple(every_fold)
    if len(every_fold) > 1:
        yield from (tuple(fold for fold in every_fold if fold != held_out) for held_out in every_fold)


class _Tables:
    """The tables of the shortlists; one is kept at a time, until another list is asked for."""

    def __init__(self, inputs: SelectionInputs, lists: Mapping[Folds, tuple[int, ...]], memory_bytes: float) -> None:
        self._inputs, self._lists, self._memory_bytes = inputs, lists, memory_bytes
        self._candidates: tuple[int, ...] = ()
        self._table: VoteTable | None = None

    def __call__(self, folds: Sequence[int]) -> VoteTable:
        wanted = self._lists[tuple(folds)]
        if wanted != self._candidates:
            self._table = None  # before the next takes its memory
            self._table = self._inputs.build_table(wanted, self._memory_bytes)
            self._candidates = wanted
        return self._table


@dataclass(frozen=True, eq=False)
class _Survey:
    """What one reading of all maps finds out."""

    counts: np.ndarray
    """Of every candidate's own vote: int64 (folds, candidates, 3, num_classes)."""
    sample: VoteTable
    """Of the sampled pixels."""

    def scores(self, folds: Sequence[int]) -> np.ndarray:
        """Return every candidate's own mIoU on some folds: float64 (candidates,)."""
        return miou_from_counts(self.counts[list(folds)].sum(axis=0))


def _survey(inputs: SelectionInputs, sizes: Sequence[tuple[int, int]], memory_bytes: float) -> _Survey:
    """Read all maps once, a stretch of pixels after another."""
    candidates, budget = len(inputs.rows), Budget(0.75 * memory_bytes)
    counts = np.zeros((inputs.num_folds, candidates, 3, inputs.num_classes), np.int64)
    at_once = inputs.threads * VoteTable.pixels_at_once(candidates, memory_bytes / 4 / inputs.threads)
    step = min(at_once, max(1 << 16, STREAM_BYTES // candidates))
    sampled = _sampled_pixels(sizes)
    samples = []
    # What is sampled of so many steps makes one more of their size; many small tables would be slow to count on.
    for window in _stretches(slice(0, inputs.target.size), STEP**2 * step):
        for stretch in _stretches(window, step):
            whole = _table_of(inputs, stretch, slice(None), Budget())
            for fold in range(inputs.num_folds):
                counts[fold] += whole.on([fold]).addition_counts([])
        chosen = sampled[slice(*np.searchsorted(sampled, [window.start, window.stop]))]
        samples.append(_table_of(inputs, window, chosen - window.start, budget))
    return _Survey(counts, VoteTable.joined(samples) if samples else inputs.build_table())


def _stretches(whole: slice, size: int) -> Iterator[slice]:
    for start in range(whole.start, whole.stop, size):
        yield slice(start, min(start + size, whole.stop))


def _table_of(inputs: SelectionInputs, stretch: slice, chosen: slice | np.ndarray, budget: Budget) -> VoteTable:
    """Build the table of the `chosen` among a stretch of pixels."""
    target = inputs.target[stretch][chosen]
    return build_table(
        [row[stretch][chosen] for row in inputs.rows],
        target,
        inputs.num_classes,
        ignore_index=inputs.ignore_index,
        part_of_pixel=inputs.part_of_pixel[stretch][chosen],
        fold_of_part=inputs.fold_of_part,
        chunk_pixels=max(1, -(-len(target) // inputs.threads)),
        threads=inputs.threads,
        offset=stretch.start,
        budget=budget,
    )


def _sampled_pixels(sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the indices of every fourth pixel each way, ascending: int64."""
    starts = np.cumsum([0, *(height * width for height, width in sizes)])
    grids = [
        start + (np.arange(0, height, STEP)[:, None] * width + np.arange(0, width, STEP)).reshape(-1)
        for start, (height, width) in zip(starts, sizes)
    ]
    return np.concatenate([np.empty(0, np.int64), *grids])


def _shortlist(sample: VoteTable, options: Options, most: int) -> tuple[int, ...]:
    """Choose candidates, ascending: those named in the options, then a path of half as many as `most`, then by rank."""
    candidates = len(sample.ranking)
    path, _ = add_greedily(sample, [0], min(-(-most // 2), candidates), range(candidates))
    named = dict.fromkeys((*options.must_include, *options.start))
    kept = list(dict.fromkeys((*named, *(sample.ranking[rank] for rank in path), *sample.ranking)))
    return tuple(sorted(kept[: max(most, len(named))]))
