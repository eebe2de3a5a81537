"""What a selection is worth: simpler choices beside it, its gain over them, and how optimistic its score is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ensembling.assessment.bootstrap import Interval, bootstrap_mious, influence, interval, shares_of_variance
from ensembling.assessment.top_k import ImageRuns, growing_counts
from ensembling.scores import miou_from_counts
from ensembling.selection.crossfit import fold_of_images
from ensembling.selection.select_ensemble import Selection

BASELINE_SIZES = (3, 5, 7, 10)
FEW_PHOTOS = 10
"""A class that fewer photos of the holdout have is called rare."""


@dataclass(frozen=True, eq=False)
class WithoutRare:
    """What the scores are as a mean over the classes that are not rare: of the cross-fit, where there is one."""

    left_out: tuple[int, ...]
    miou: Interval
    gains: dict[str, Interval]


@dataclass(frozen=True, eq=False)
class Assessment:
    """Everything here is measured by voting anew, scene by scene; nothing is taken from the table of the selection.

    Gains are those of the selected vote over "best_single" and "top_k", the best of the ranking in the same number;
    `crossfit_gains` compare votes and baselines that were both chosen on other folds than each is scored on.
    """

    images: int
    """How many units are held out and drawn as one: images, or scenes of them."""
    topk_miou: np.ndarray
    """Of the best 1, 2, … candidates: float64 (candidates,)."""
    miou: Interval
    best_single: Interval
    """Of the candidate that scores best alone."""
    gains: dict[str, Interval]
    crossfit_miou: Interval | None
    """None with fewer than two images, as are its gains and the optimism."""
    crossfit_gains: dict[str, Interval] | None
    class_scenes: np.ndarray
    """In how many units each class is: int64 (num_classes,)."""
    error_shares: np.ndarray
    """How much of the mIoU's variance each class causes, float64 (num_classes,), cross-fitted where there is that."""
    without_rare: WithoutRare | None
    """None where no class is rare, or all are."""

    @property
    def optimism(self) -> float | None:
        """Return how much too high the selected mIoU is: it, less the cross-fitted one."""
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
    class_photos: np.ndarray | None = None,
    one_scene: bool = False,
) -> Assessment:
    """Return what `select_ensemble` chose from the same arguments is worth; `seed` shuffles folds and draws.

    `class_photos` (num_classes,) has the number of photos with each class, where `image_ids` name scenes of several.
    With `one_scene` they name parts of a single scene, and there is no interval, however many parts there are.
    """
    vote = _Votes(predictions, target, num_classes, ignore_index, threads)
    runs = ImageRuns.of(np.asarray(image_ids))
    size = len(selection.members)
    curve, simpler = vote(selection.ranking, runs, [0, size - 1])
    _, selected = vote(selection.members, runs, [size - 1], selection.weights)
    counts = np.concatenate([selected, simpler])
    miou, gains, best_single = _compare(counts, seed, one_scene)
    crossfitted = crossfit_gains = None
    if len(selection.crossfit.members) > 1:
        counts = _crossfit_counts(selection, vote, runs, seed)
        crossfitted, crossfit_gains, _ = _compare(counts, seed, one_scene)
    class_scenes = _scenes_with(counts)
    photos = class_scenes if class_photos is None else class_photos
    return Assessment(
        images=runs.num_images,
        topk_miou=miou_from_counts(curve),
        miou=miou,
        best_single=best_single,
        gains=gains,
        crossfit_miou=crossfitted,
        crossfit_gains=crossfit_gains,
        class_scenes=class_scenes,
        error_shares=shares_of_variance(influence(counts[0])),
        without_rare=_without_rare(counts, photos, seed, one_scene),
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


def _compare(counts: np.ndarray, seed: int, one_scene: bool) -> tuple[Interval, dict[str, Interval], Interval]:
    """Return the first vote's mIoU, its gain over the others (the best single and the top k), and the second's mIoU."""
    mious = miou_from_counts(counts.sum(axis=1))
    gains = {name: mious[0] - mious[place] for place, name in enumerate(("best_single", "top_k"), start=1)}
    if one_scene:
        first, second = (Interval(float(mious[place])) for place in range(2))
        return first, {name: Interval(float(gain)) for name, gain in gains.items()}, second
    drawn, scenes_with = bootstrap_mious(counts, seed), _scenes_with(counts)
    influences = [influence(one) for one in counts]
    first, second = (interval(mious[place], drawn[:, place], influences[place], scenes_with) for place in range(2))
    between = {
        name: interval(gain, drawn[:, 0] - drawn[:, place], influences[0] - influences[place], scenes_with)
        for place, (name, gain) in enumerate(gains.items(), start=1)
    }
    return first, between, second


def _scenes_with(counts: np.ndarray) -> np.ndarray:
    """In how many scenes each class is labelled: int64 (num_classes,)."""
    return (counts[0, :, 2] > 0).sum(axis=0)


def _without_rare(counts: np.ndarray, photos: np.ndarray, seed: int, one_scene: bool) -> WithoutRare | None:
    occurs = counts.sum(axis=(0, 1)).any(axis=0)
    rare = occurs & (photos < FEW_PHOTOS)
    if not rare.any() or rare.sum() == occurs.sum():
        return None
    left_out = tuple(np.flatnonzero(rare).tolist())
    miou, gains, _ = _compare(counts[..., occurs & ~rare], seed, one_scene)
    return WithoutRare(left_out, miou, gains)
