"""What a selection is worth: simpler choices beside it, its gain over them, and how much of its score is flattery."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.assessment.bootstrap import Interval, bootstrap_mious, interval
from ensembling.assessment.top_k import ImageRuns, growing_counts
from ensembling.scores import miou_from_counts
from ensembling.selection.crossfit import fold_of_images
from ensembling.selection.select_ensemble import Selection

BASELINE_SIZES = (3, 5, 7, 10)


@dataclass(frozen=True, eq=False)
class Assessment:
    """Everything here is measured by voting anew, image by image; nothing is taken from the table of the selection.

    Gains are those of the selected vote over "best_single" and "top_k", the best of the ranking in the same number;
    `crossfit_gains` compare votes and baselines that were both chosen on other folds than each is scored on.
    """

    images: int
    topk_miou: np.ndarray
    """Of the best 1, 2, … candidates: float64 (candidates,)."""
    miou: Interval
    best_single: Interval
    """Of the candidate that scores best alone."""
    gains: dict[str, Interval]
    crossfit_miou: Interval | None
    """None with fewer than two images, as are its gains and the optimism."""
    crossfit_gains: dict[str, Interval] | None

    @property
    def optimism(self) -> float | None:
        """How much the selected mIoU flatters: it, less the cross-fitted one."""
        return None if self.crossfit_miou is None else self.miou.value - self.crossfit_miou.value

    @property
    def baselines(self) -> dict[str, tuple[int, float]]:
        """Size and mIoU of the best single, the top 3, 5, 7 and 10 as far as there are more, and all."""
        most = len(self.topk_miou)
        sizes = {"best_single": 1} | {f"top_{size}": size for size in BASELINE_SIZES if size < most} | {"all": most}
        return {name: (size, float(self.topk_miou[size - 1])) for name, size in sizes.items()}


def assess(
    selection: Selection,
    predictions: Sequence[np.ndarray],
    target: np.ndarray,
    num_classes: int,
    image_ids: np.ndarray,
    *,
    ignore_index: int = 255,
    seed: int = 0,
    threads: int = 1,
) -> Assessment:
    """What `select_ensemble` chose from the same arguments is worth; `seed` shuffles its folds, draws the bootstrap."""
    vote = _Votes(predictions, target, num_classes, ignore_index, threads)
    runs = ImageRuns.of(np.asarray(image_ids))
    size = len(selection.members)
    curve, simpler = vote(selection.ranking, runs, [0, size - 1])
    _, selected = vote(selection.members, runs, [size - 1], selection.weights)
    miou, gains, best_single = _compare(np.concatenate([selected, simpler]), seed)
    crossfitted = crossfit_gains = None
    if len(selection.crossfit.members) > 1:
        crossfitted, crossfit_gains, _ = _compare(_crossfit_counts(selection, vote, runs, seed), seed)
    return Assessment(
        images=runs.num_images,
        topk_miou=miou_from_counts(curve),
        miou=miou,
        best_single=best_single,
        gains=gains,
        crossfit_miou=crossfitted,
        crossfit_gains=crossfit_gains,
    )


@dataclass(frozen=True, eq=False)
class _Votes:
    predictions: Sequence[np.ndarray]
    target: np.ndarray
    num_classes: int
    ignore_index: int
    threads: int

    def __call__(
        self, candidates: Sequence[int], runs: ImageRuns, keep: Sequence[int], weights: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Counts of the vote of the first 1, 2, … candidates, and image by image after the steps to `keep`."""
        rows = [self.predictions[index] for index in candidates]
        how = {"weights": weights, "ignore_index": self.ignore_index, "threads": self.threads}
        return growing_counts(rows, self.target, self.num_classes, runs, keep, **how)


def _crossfit_counts(selection: Selection, vote: _Votes, runs: ImageRuns, seed: int) -> np.ndarray:
    """Counts (3, images, 3, num_classes) of the members, the best single and the top k of each image's other folds."""
    folds, _ = fold_of_images(runs.num_images, seed)
    counts = 0
    fit = selection.crossfit
    for fold, (members, weights, ranking) in enumerate(zip(fit.members, fit.weights, fit.rankings)):
        inside, last = runs.within(folds == fold), len(members) - 1
        _, chosen = vote(members, inside, [last], weights)
        _, simpler = vote(ranking[: len(members)], inside, [0, last])
        counts = counts + np.concatenate([chosen, simpler])
    return counts


def _compare(counts: np.ndarray, seed: int) -> tuple[Interval, dict[str, Interval], Interval]:
    """Return the first vote's mIoU, its gain over the others (the best single and the top k), and the second's mIoU."""
    mious, drawn = miou_from_counts(counts.sum(axis=1)), bootstrap_mious(counts, seed)
    gains = {
        name: interval(mious[0] - mious[place], drawn[:, 0] - drawn[:, place])
        for place, name in enumerate(("best_single", "top_k"), start=1)
    }
    return interval(mious[0], drawn[:, 0]), gains, interval(mious[1], drawn[:, 1])
