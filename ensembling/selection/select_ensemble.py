"""Which candidates to let vote: rank them, search their sets, and score the choice beside simpler ones."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.counting import VoteTable
from ensembling.scores import iou_from_counts, miou_from_counts
from ensembling.selection.crossfit import CrossFit, crossfit
from ensembling.selection.ensemble_selection import Found, Limits, rank_by_miou
from ensembling.selection.inputs import check_inputs
from ensembling.selection.modes import MODES
from ensembling.selection.options import Options


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
    """Candidates in the order of their adding; the members are a beginning of it, by rank. Modes without a path have
    the members by rank here; with replacement a candidate is in it once for each vote."""
    path_miou: tuple[float, ...]
    """Of the vote after each step of the path."""
    crossfit_miou: float
    """What the vote is expected to score on images not selected on; NaN without `image_ids` or with fewer than two
    images."""
    crossfit: CrossFit
    """Who votes in the cross-fit; empty without one."""
    baselines: dict[str, float]
    """mIoU of "best_single", "top_3", "top_5" (all, if there are fewer) and "all"."""
    ranking: tuple[int, ...]
    """All candidates, best first."""
    scores: np.ndarray
    """Each candidate's own mIoU, float64 (candidates,), by index."""


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
    """Select the set of candidates whose hard vote scores highest on `target`, as far as the search `mode` finds it.

    Candidates are ranked by their own mIoU, ties by lower index; ties between candidates for a step go to the better
    rank; differences up to 1e-12 are ties. If no pixel counts, every mIoU is 0. The result depends neither on `threads`
    nor on `memory_bytes`.

    Args:
        predictions: uint8 (candidates, pixels) or a sequence of such rows, which may be memory-mapped: class ids below
            `num_classes`, or 255 to abstain.
        target: uint8 (pixels,).
        num_classes: 1 to 255.
        mode: "greedy"; "swap" (drop, swap, add until none helps); "beam" of `beam_width` sets; "exhaustive" (to 16
            candidates); "bagged_images" (needs `image_ids`) and "bagged_runs", greedy on random samples of images or
            candidates, each a vote for who is chosen; "replacement", greedy that may give a candidate several votes.
        max_members: the most members, or votes with replacement.
        must_include: candidates that are members in any case.
        start: candidates that begin every path: "swap" alone may drop them again, and "exhaustive" refuses them.
        beam_width: how many sets "beam" goes on with.
        ignore_index: pixels of this target do not count.
        image_ids: integers or strings (pixels,), the image of each pixel. With them the result is cross-fitted over up
            to five folds of images.
        seed: shuffles the images into folds, and draws the samples of the bagged modes.
        threads: how many threads count.
        memory_bytes: what may be kept in memory beside the arguments and two bytes a pixel; the rest is in temporary
            files.

    Raises:
        ValueError: for wrong shapes, dtypes, ids or options.
    """
    inputs = check_inputs(
        predictions,
        target,
        num_classes,
        Options(mode, max_members, tuple(must_include), tuple(start), beam_width, seed),
        ignore_index=ignore_index,
        image_ids=image_ids,
        threads=threads,
    )
    return select_from_table(inputs.build_table(memory_bytes=memory_bytes), inputs.options)


def select_from_table(table: VoteTable, options: Options) -> Selection:
    """Select as `select_ensemble` does, from a table that is already built; its folds are those of the cross-fit."""
    return select_from_tables(lambda folds: table, table.num_folds, options)


def select_from_tables(table_for: Callable[[Sequence[int]], VoteTable], num_folds: int, options: Options) -> Selection:
    """Select from tables of the candidates on the given folds, which `table_for` returns; its last call is for all."""
    crossfit_miou, fit = crossfit(table_for, num_folds, lambda table: search(table, options))
    table, found = search(table_for(range(num_folds)), options)
    counts = table.vote_counts(found.votes)
    own_mious = miou_from_counts(table.addition_counts([]))
    return Selection(
        members=tuple(table.ranking[rank] for rank in found.votes),
        weights=tuple(found.votes.values()),
        miou=float(miou_from_counts(counts)),
        iou=iou_from_counts(counts),
        path=tuple(table.ranking[rank] for rank in found.path),
        path_miou=tuple(found.path_miou),
        crossfit_miou=crossfit_miou,
        crossfit=fit,
        baselines=_baselines(table),
        ranking=table.ranking,
        scores=own_mious[np.argsort(table.ranking)],
    )


def search(table: VoteTable, options: Options) -> tuple[VoteTable, Found]:
    """Rank the candidates by their own mIoU and search by the mode: return the ranked table, and what was found."""
    table = rank_candidates(table)
    must_include, start = (
        tuple(table.ranking.index(candidate) for candidate in given) for given in (options.must_include, options.start)
    )
    limits = Limits(options.max_members, must_include, start, options.beam_width, options.seed)
    return table, MODES[options.mode](table, limits)


def rank_candidates(table: VoteTable) -> VoteTable:
    """Return the table with its candidates ranked by their own mIoU on it; ties go to the lower index."""
    by_index = table.ranked(sorted(table.ranking))
    order = rank_by_miou(miou_from_counts(by_index.addition_counts([])))
    return by_index.ranked([by_index.ranking[index] for index in order])


def _baselines(table: VoteTable) -> dict[str, float]:
    """Return the mIoU of the vote of the best single candidate, of the best few, and of all."""
    candidates = len(table.ranking)
    sizes = {"best_single": 1, "top_3": min(3, candidates), "top_5": min(5, candidates), "all": candidates}
    return {name: float(miou_from_counts(table.vote_counts(range(size)))) for name, size in sizes.items()}
