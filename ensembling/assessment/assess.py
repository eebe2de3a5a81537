"""The assessment of a selection: simpler choices beside it, its gain over them, and how optimistic its score is."""

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
"""A class that occurs in fewer photos of the holdout is called rare."""


@dataclass(frozen=True, eq=False)
class WithoutRare:
    """The scores as means over the classes that are not rare: cross-fitted, where there is a cross-fit."""

    left_out: tuple[int, ...]
    miou: Interval
    gains: dict[str, Interval]


@dataclass(frozen=True, eq=False)
class Assessment:
    """What a selection scores. Everything is measured by voting again, scene by scene, not from the selection's table.

    Gains are those of the selected vote over "best_single" and over "top_k", the best of the ranking in the same
    number. `crossfit_gains` compare votes with baselines that were both chosen on other folds than those they are
    scored on.
    """

    images: int
    """The number of units that are held out and drawn: images, or scenes of several."""
    topk_miou: np.ndarray
    """The mIoU of the vote of the best 1, 2, … candidates: float64 (candidates,)."""
    miou: Interval
    best_single: Interval
    """The mIoU of the candidate that scores best alone."""
    gains: dict[str, Interval]
    crossfit_miou: Interval | None
    """None with fewer than two images, as are the gains of the cross-fit and the optimism."""
    crossfit_gains: dict[str, Interval] | None
    class_scenes: np.ndarray
    """The number of units with each class: int64 (num_classes,)."""
    error_shares: np.ndarray
    """The share of the mIoU's variance that each class causes, cross-fitted if possible: float64 (num_classes,)."""
    without_rare: WithoutRare | None
    """None where no class is rare, or all are."""

    @property
    def optimism(self) -> float | None:
        """Return by how much the selected mIoU exceeds the cross-fitted one; None without a cross-fit."""
        return None if self.crossfit_miou is None else self.miou.value - self.crossfit_miou.value

    @property
    def baselines(self) -> dict[str, tuple[int, float]]:
        """Return size and mIoU of the best single run, of the top 3, 5, 7 and 10 if there are more, and of all."""
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
    """Return the assessment of what `select_ensemble` chose from the same arguments.

    Args:
        selection: The result of `select_ensemble`.
        predictions: The class maps of the candidates, uint8 (pixels,) each.
        target: The masks, uint8 (pixels,).
        num_classes: The number of classes.
        image_ids: The image or scene of each pixel, (pixels,).
        ignore_index: Pixels with this target do not count.
        seed: Shuffles the folds and the draws of the bootstrap.
        threads: How many threads count.
        class_photos: The number of photos with each class, (num_classes,), where a scene has several photos.
        one_scene: Whether `image_ids` name parts of a single scene. Then there is no interval.
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
    """The votes of sets of candidates, counted."""

    predictions: Sequence[np.ndarray]
    target: np.ndarray
    num_classes: int
    ignore_index: int
    threads: int

    def __call__(
        self, candidates: Sequence[int], runs: ImageRuns, keep: Sequence[int], weights: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the counts of the vote of the first 1, 2, … candidates, and those by image after the steps `keep`."""
        rows = [self.predictions[index] for index in candidates]
        how = {"weights": weights, "ignore_index": self.ignore_index, "threads": self.threads}
        return growing_counts(rows, self.target, self.num_classes, runs, keep, **how)


def _crossfit_counts(selection: Selection, vote: _Votes, runs: ImageRuns, seed: int) -> np.ndarray:
    """Return the counts of the members, the best single run and the top k, each chosen on an image's other folds.

    They are int64 (3, images, 3, num_classes).
    """
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
    """Return the first vote's mIoU, its gain over the best single run and the top k, and the second vote's mIoU."""
    mious = miou_from_counts(counts.sum(axis=1))
    gains = {name: mious[0] - mious[index] for index, name in enumerate(("best_single", "top_k"), start=1)}
    if one_scene:
        first, second = (Interval(float(mious[index])) for index in range(2))
        return first, {name: Interval(float(gain)) for name, gain in gains.items()}, second
    drawn, scenes_with = bootstrap_mious(counts, seed), _scenes_with(counts)
    influences = [influence(one) for one in counts]
    first, second = (interval(mious[index], drawn[:, index], influences[index], scenes_with) for index in range(2))
    between = {
        name: interval(gain, drawn[:, 0] - drawn[:, index], influences[0] - influences[index], scenes_with)
        for index, (name, gain) in enumerate(gains.items(), start=1)
    }
    return first, between, second


def _scenes_with(counts: np.ndarray) -> np.ndarray:
    """Return the number of scenes in which each class is labelled: int64 (num_classes,)."""
    return (counts[0, :, 2] > 0).sum(axis=0)


def _without_rare(counts: np.ndarray, photos: np.ndarray, seed: int, one_scene: bool) -> WithoutRare | None:
    """Return the scores without the rare classes; None where no class is rare, or all are."""
    occurs = counts.sum(axis=(0, 1)).any(axis=0)
    rare = occurs & (photos < FEW_PHOTOS)
    if not rare.any() or rare.sum() == occurs.sum():
        return None
    left_out = tuple(np.flatnonzero(rare).tolist())
    miou, gains, _ = _compare(counts[..., occurs & ~rare], seed, one_scene)
    return WithoutRare(left_out, miou, gains)
