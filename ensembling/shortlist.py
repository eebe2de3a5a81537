"""Selection from hundreds of candidates on a gigapixel: a shortlist first, then the exact table of that alone.

One stream over all maps gives every candidate's exact own score, and a table of every fourth pixel each way. Half of
the shortlist are the best by score, half those that a greedy path on the sampled table adds: it finds weaker candidates
that err elsewhere. Time is linear in candidates and in pixels.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ensembling.scores import miou_from_counts
from ensembling.search_modes import grow, rank_by_score
from ensembling.selection import Options, Problem, Selection, check_problem, check_whole, select_from_table
from ensembling.table import VoteTable, build_table

STEP = 4
STREAM_BYTES = 1 << 28


def select_from_many(
    predictions: Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    options: Options,
    *,
    sizes: Sequence[tuple[int, int]],
    shortlist: int = 64,
    memory_gb: float = 6.0,
    ignore_index: int = 255,
    image_ids: np.ndarray | None = None,
    threads: int = 1,
) -> Selection:
    """`select_ensemble` among the `shortlist` most promising candidates; their maps may be memory-mapped.

    `sizes` are the images' (height, width), in the order of the pixels. Of the two tables, what exceeds `memory_gb`
    (10^9 bytes) is kept in temporary files. Own scores and ranking are exact and of all candidates, and the selection's
    mIoU is exact too; the baseline "all" is the vote of the shortlist. Cross-fitted votes are chosen from the
    shortlist, which all images drew up: their score may flatter where that of `select_ensemble` does not. Raises
    ValueError as `select_ensemble` does, and where the sizes do not add up to the pixels.
    """
    problem = check_problem(
        predictions, target, num_classes, options, ignore_index=ignore_index, image_ids=image_ids, threads=threads
    )
    if sum(height * width for height, width in sizes) != problem.target.size:
        raise ValueError(f"sizes have {sum(h * w for h, w in sizes)} pixels, but target has {problem.target.size}")
    check_whole(shortlist, "shortlist", 1)
    scores, sample = _survey(problem, _sampled_pixels(sizes), memory_gb * 1e9)
    ranking = rank_by_score(scores)
    sample.rerank(ranking)
    kept = _shortlist(sample, problem.options, shortlist)
    del sample
    local = {candidate: place for place, candidate in enumerate(kept)}
    named = {
        "must_include": tuple(local[candidate] for candidate in problem.options.must_include),
        "start": tuple(local[candidate] for candidate in problem.options.start),
    }
    table = problem.build_table(kept, memory_gb * 1e9)
    selection = select_from_table(table, replace(problem.options, **named))
    return replace(
        selection,
        members=tuple(kept[index] for index in selection.members),
        path=tuple(kept[index] for index in selection.path),
        crossfit=selection.crossfit.renamed(kept),
        ranking=tuple(ranking),
        scores=scores,
    )


def _sampled_pixels(sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """Places of every fourth pixel each way, ascending: int64."""
    starts = np.cumsum([0, *(height * width for height, width in sizes)])
    grids = [
        start + (np.arange(0, height, STEP)[:, None] * width + np.arange(0, width, STEP)).reshape(-1)
        for start, (height, width) in zip(starts, sizes)
    ]
    return np.concatenate([np.empty(0, np.int64), *grids])


def _survey(problem: Problem, sampled: np.ndarray, memory_bytes: float) -> tuple[np.ndarray, VoteTable]:
    """Every candidate's own mIoU, float64 (candidates,), and the table of the sampled pixels, in one stream."""
    candidates, pixels = len(problem.rows), problem.target.size
    counts = np.zeros((candidates, 3, problem.num_classes), np.int64)
    sample = VoteTable(candidates, problem.num_classes, 1, problem.threads)
    step = max(1 << 16, STREAM_BYTES // candidates)
    for start in range(0, pixels, step):
        part = slice(start, start + step)
        rows, target = [row[part] for row in problem.rows], problem.target[part]
        arguments = {"ignore_index": problem.ignore_index, "threads": problem.threads, "offset": start}
        chunk_pixels = -(-len(target) // problem.threads)
        whole = build_table(rows, target, problem.num_classes, chunk_pixels=chunk_pixels, **arguments)
        counts += whole.addition_counts([], [0])
        chosen = sampled[slice(*np.searchsorted(sampled, [start, start + step]))] - start
        fewer = build_table([row[chosen] for row in rows], target[chosen], problem.num_classes, **arguments)
        for chunk in fewer.chunks:
            sample.chunks.append(chunk if sample.nbytes + chunk.nbytes <= memory_bytes else chunk.in_file())
        sample.agreed += fewer.agreed
        sample.labelled += fewer.labelled
    return miou_from_counts(counts), sample


def _shortlist(sample: VoteTable, options: Options, most: int) -> list[int]:
    """Candidates' indices, ascending: those named in the options, then by turns the next by rank and on the path."""
    ranking = sample.ranking
    path, _ = grow(sample, [0], [0], min(most, len(ranking)), range(len(ranking)))
    kept = dict.fromkeys((*options.must_include, *options.start))
    for rank, added in enumerate(path):
        for candidate in (ranking[rank], ranking[added]):
            if len(kept) < most:
                kept[candidate] = None
    return sorted(kept)
