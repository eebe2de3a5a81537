"""How far a score or a gain may be off by the chance of which images were in the holdout: the bootstrap over images.

Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979). Images are drawn, not pixels, since the pixels of one
image are right or wrong together; votes are compared on the same draws, since they find the same images hard.
"""

from dataclasses import dataclass

import numpy as np

from ensembling.scores import miou_from_counts

DRAWS = 2000
BLOCK_DRAWS = 256


@dataclass(frozen=True)
class Interval:
    """A value with its standard error and the 95 % interval of its bootstrap's percentiles."""

    value: float
    standard_error: float
    low: float
    high: float

    @property
    def within_error(self) -> bool:
        """No more than one standard error above zero: chance explains as much."""
        return self.value <= self.standard_error


def bootstrap_mious(counts: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """mIoU of each vote on each draw of as many images, with replacement: float64 (draws, votes).

    `counts` is int64 (votes, images, 3, num_classes), as in scores; every vote meets the same draws.
    """
    votes, images, _, num_classes = counts.shape
    # Sums of counts stay exact in float64 below 2**53 pixels, and its matrix product is the fast one.
    per_image = np.moveaxis(counts, 1, 0).reshape(images, -1).astype(np.float64)
    rng = np.random.default_rng(seed)
    mious = np.empty((draws, votes))
    for start in range(0, draws, BLOCK_DRAWS):
        size = min(BLOCK_DRAWS, draws - start)
        times = rng.multinomial(images, np.full(images, 1 / images), size=size).astype(np.float64)
        mious[start : start + size] = miou_from_counts((times @ per_image).reshape(size, votes, 3, num_classes))
    return mious


def interval(value: float, drawn: np.ndarray) -> Interval:
    """`drawn` (draws,) are the bootstrap's replicates of `value`."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(value), float(np.std(drawn, ddof=1)), float(low), float(high))
