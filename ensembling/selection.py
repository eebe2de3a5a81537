"""Which candidates to let vote: greedy forward selection by the mIoU of their hard vote.

Ensemble selection of Caruana et al., "Ensemble Selection from Libraries of Models" (ICML 2004), without replacement and
with a vote that has ranks. Two members vote as the better one alone, so the path never stops at a step without gain: it
runs on to `max_members`, and the answer is its shortest prefix that attains its highest mIoU.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.estimate import CrossFit, crossfit, fold_of_pixels
from ensembling.scores import iou_from_counts, miou_from_counts
from ensembling.table import VoteTable, build_table
from ensembling.vote import check_num_classes

# Equal mIoUs may differ in the last bits, by the order in which their classes are summed.
TIE = 1e-12


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen ensemble, how it was found, and what to compare it with. Candidates are named by their index.

    All scores are on the pixels whose target is not `ignore_index`; a candidate's own is that of its vote alone, in
    which an abstention (255) becomes class 0.
    """

    members: tuple[int, ...]
    """In rank order: the rows for `hard_vote`."""
    miou: float
    iou: np.ndarray
    """Of the members' vote, float64 (num_classes,); NaN for a class in neither target nor vote."""
    path: tuple[int, ...]
    """All candidates added, in the order of their adding; the members are a prefix of it, by rank."""
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


def select_ensemble(
    predictions: np.ndarray | Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    *,
    max_members: int = 15,
    ignore_index: int = 255,
    image_ids: np.ndarray | Sequence[int] | Sequence[str] | None = None,
    seed: int = 0,
) -> Selection:
    """The set of candidates whose hard vote scores highest on `target`, by greedy forward selection.

    `predictions` is uint8 (candidates, pixels) or a sequence of such rows (memory-mapped ones are read in blocks),
    class ids below `num_classes`, or 255 to abstain; `target` is uint8 (pixels,). Candidates are ranked by their own
    mIoU, ties by lower index; ties between candidates for a step go to the better rank; differences up to 1e-12 are
    ties. With `image_ids` (pixels,), integers or strings, the result is cross-fitted over up to five folds of images,
    which `seed` shuffles. If no pixel counts, every mIoU is 0. Raises ValueError for wrong shapes, dtypes or ids.
    """
    num_classes = check_num_classes(num_classes)
    max_members = _check_whole(max_members, "max_members", 1)
    ignore_index = _check_whole(ignore_index, "ignore_index", 0, 255)
    target = _check_pixels(target, "target")
    rows = _check_rows(predictions, target.size)
    folds, num_folds = None, 1
    if image_ids is not None:
        folds, num_folds = fold_of_pixels(_check_image_ids(image_ids, target.size), _check_whole(seed, "seed", 0))
    table = build_table(rows, target, num_classes, ignore_index=ignore_index, fold_of_pixel=folds, num_folds=num_folds)
    return select_from_table(table, max_members)


def select_from_table(table: VoteTable, max_members: int) -> Selection:
    """`select_ensemble` on a table that is built; its folds are those of the cross-fit. Reranks the table."""
    estimate = crossfit(table, lambda table, folds: best_prefix(*greedy_path(table, folds, max_members)))
    folds = range(table.num_folds)
    path, path_miou = greedy_path(table, folds, max_members)
    chosen = sorted(best_prefix(path, path_miou))
    counts = table.vote_counts(chosen, folds)
    ranking = table.ranking
    return Selection(
        members=tuple(ranking[rank] for rank in chosen),
        miou=float(miou_from_counts(counts)),
        iou=iou_from_counts(counts),
        path=tuple(ranking[rank] for rank in path),
        path_miou=tuple(path_miou),
        crossfit_miou=estimate.miou,
        crossfit=estimate,
        baselines=_baselines(table),
        ranking=ranking,
        scores=own_scores(table, folds)[np.argsort(ranking)],
    )


def own_scores(table: VoteTable, folds: Sequence[int]) -> np.ndarray:
    """mIoU of each candidate alone on the pixels of `folds`: float64 (candidates,), by rank."""
    return miou_from_counts(table.addition_counts([], folds))


def rank_by_score(scores: np.ndarray) -> list[int]:
    """Indices by descending score, ties by lower index. What lies within 1e-12 of its neighbour ties with it."""
    descending = np.argsort(-scores, kind="stable")
    is_new = np.diff(scores[descending], prepend=np.inf) < -TIE
    tie_group = np.cumsum(is_new)
    return [int(index) for index in descending[np.lexsort((descending, tie_group))]]


def greedy_path(table: VoteTable, folds: Sequence[int], max_members: int) -> tuple[list[int], list[float]]:
    """Ranks in the order added, and the mIoU of the vote after each, on the pixels of `folds`.

    Ranks the table's candidates by their own mIoU on those folds first. A step is taken even if the mIoU falls.
    """
    scores = np.empty(len(table.ranking))
    scores[list(table.ranking)] = own_scores(table, folds)
    table.rerank(rank_by_score(scores))
    # Rank 0 is the best single by definition, so that the first step needs no count.
    path, path_miou = [0], [float(scores[table.ranking[0]])]
    while len(path) < min(max_members, len(scores)):
        step_miou = miou_from_counts(table.addition_counts(path, folds))
        step_miou[path] = -np.inf
        best = int(np.argmax(step_miou >= step_miou.max() - TIE))
        path.append(best)
        path_miou.append(float(step_miou[best]))
    return path, path_miou


def best_prefix(path: Sequence[int], path_miou: Sequence[float]) -> list[int]:
    """The shortest prefix of `path` that attains its highest mIoU."""
    length = 1 + int(np.argmax(np.asarray(path_miou) >= max(path_miou) - TIE))
    return list(path[:length])


def _baselines(table: VoteTable) -> dict[str, float]:
    candidates = len(table.ranking)
    sizes = {"best_single": 1, "top_3": min(3, candidates), "top_5": min(5, candidates), "all": candidates}
    folds = range(table.num_folds)
    return {name: float(miou_from_counts(table.vote_counts(range(size), folds))) for name, size in sizes.items()}


def _check_whole(value: int, name: str, least: int, most: int | None = None) -> int:
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
