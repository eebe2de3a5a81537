"""The bootstrap over scenes: how much a score or a gain depends on which scenes were in the holdout.

Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979). Scenes are drawn, not pixels, because errors
within an image and within a scene are correlated. Votes are compared on the same draws, because they err on the same
images. An image that belongs to no other is a scene by itself.

Percentiles of the draws are too narrow an interval where a class is in few photos: on simulated pools they held the
truth in 84 to 91 % of cases instead of 95. The limits used here are BCa (Efron, "Better Bootstrap Confidence
Intervals", 1987), which correct for bias and skew, stretched by a quantile of Student's t whose degrees of freedom
follow from the scenes that cause the variance (Satterthwaite, "An Approximate Distribution of Estimates of Variance
Components", 1946); see tests/benchmarks/vote/rare_classes.py.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from ensembling.scores import iou_from_counts, miou_from_counts

DRAWS = 2000
BLOCK_DRAWS = 256
LEAST_SCENES = 5
"""With fewer scenes no interval is given, because they say too little about other scenes."""
TAIL = 0.025
KNOWN_BEFORE = 2
"""Degrees of freedom that each class's variance has in addition to those of its scenes, so that a class in two or three
scenes does not make the interval useless. The value was chosen by the benchmark."""
MOST_BIAS = 0.01  # the share of draws below the value is limited to this and 1 less this
LEAST_DAMPING = 0.2


@dataclass(frozen=True)
class Interval:
    """A value with its standard error and its 95 % interval; all but the value are None where none can be given."""

    value: float
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def within_error(self) -> bool:
        """Return whether chance explains the value: it is at most one standard error above zero, or has no error."""
        return self.standard_error is None or self.value <= self.standard_error


def bootstrap_mious(counts: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """Return the mIoU of each vote on each draw of as many scenes, with replacement: float64 (draws, votes).

    `counts` is int64 (votes, scenes, 3, num_classes), as in scores; every vote meets the same draws.
    """
    return drawn_mious(counts, np.random.default_rng(seed), draws=draws, scenes=counts.shape[1])


def drawn_mious(counts: np.ndarray, rng: np.random.Generator, *, draws: int, scenes: int) -> np.ndarray:
    """Return the mIoU of each vote on each draw of scenes with replacement: float64 (draws, votes).

    Args:
        counts: int64 (votes, scenes, 3, num_classes), as in ensembling/scores.py; every vote meets the same draws.
        rng: Draws the scenes.
        draws: The number of draws.
        scenes: The number of scenes in a draw.
    """
    votes, known, _, num_classes = counts.shape
    # Sums of counts stay exact in float64 below 2**53 pixels, and its matrix product is the fast one.
    per_scene = np.moveaxis(counts, 1, 0).reshape(known, -1).astype(np.float64)
    mious = np.empty((draws, votes))
    for start in range(0, draws, BLOCK_DRAWS):
        size = min(BLOCK_DRAWS, draws - start)
        times = rng.multinomial(scenes, np.full(known, 1 / known), size=size).astype(np.float64)
        mious[start : start + size] = miou_from_counts((times @ per_scene).reshape(size, votes, 3, num_classes))
    return mious


def influence(counts: np.ndarray) -> np.ndarray:
    """Return what each scene adds to each class's part of the vote's mIoU, to first order: float64 (scenes, classes).

    `counts` is int64 (scenes, 3, num_classes). The result is the derivative of the mIoU by the scene's weight: hits
    less IoU times union, divided by the class's whole union and by the number of classes that occur. Each column sums
    to zero. The column of a class in neither target nor prediction is zero.
    """
    hits, predicted, labelled = np.moveaxis(counts.astype(np.float64), 1, 0)
    unions = predicted + labelled - hits
    whole = unions.sum(axis=0)
    iou = np.nan_to_num(iou_from_counts(counts.sum(axis=0)))
    return (hits - iou * unions) / np.maximum(whole, 1) / max(1, np.count_nonzero(whole))


def interval(value: float, drawn: np.ndarray, influences: np.ndarray, scenes_with: np.ndarray) -> Interval:
    """Return the interval of a value; with fewer than LEAST_SCENES scenes there is none.

    Args:
        value: The value on the holdout.
        drawn: Its bootstrap replicates, float64 (draws,).
        influences: What each scene adds to each class's part of the value, float64 (scenes, classes); of a gain, the
            difference of those of the two votes.
        scenes_with: The number of scenes with each class, (classes,).
    """
    if len(influences) < LEAST_SCENES:
        return Interval(float(value))
    error = float(np.std(drawn, ddof=1))
    if error == 0:
        return Interval(float(value), 0.0, float(value), float(value))
    whole = influences.sum(axis=1)
    below = np.mean(drawn < value) + np.mean(drawn == value) / 2
    bias = ndtri(np.clip(below, MOST_BIAS, 1 - MOST_BIAS))
    skew = (whole**3).sum() / (6 * (whole**2).sum() ** 1.5) if whole.any() else 0.0
    ends = bias + ndtri([TAIL, 1 - TAIL])
    low, high = np.quantile(drawn, ndtr(bias + ends / np.maximum(1 - skew * ends, LEAST_DAMPING)))
    stretch = stdtrit(degrees_of_freedom(influences, scenes_with), 1 - TAIL) / ndtri(1 - TAIL)
    return Interval(
        float(value), error, float(value - stretch * (value - low)), float(value + stretch * (high - value))
    )


def degrees_of_freedom(influences: np.ndarray, scenes_with: np.ndarray) -> float:
    """Return the variance's degrees of freedom by Satterthwaite: few where most of it is of classes in few scenes."""
    variances = (influences**2).sum(axis=0)
    own = np.maximum(scenes_with - 1, 0) + KNOWN_BEFORE
    return float(variances.sum() ** 2 / max((variances**2 / own).sum(), np.finfo(float).tiny))


def shares_of_variance(influences: np.ndarray) -> np.ndarray:
    """Return the share of the value's variance that each class causes: float64 (classes,), with the sum 1.

    The share of a class is the covariance of its part with the whole; it is negative where the class offsets others.
    """
    whole = influences.sum(axis=1)
    variance = (whole**2).sum()
    return (influences * whole[:, None]).sum(axis=0) / variance if variance > 0 else np.zeros(influences.shape[1])
