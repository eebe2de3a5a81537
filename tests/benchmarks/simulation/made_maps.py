"""Class maps of trials that were not recorded: patches of recorded ones, mixed to the score that is asked for.

A substitute, and only that: a made map errs where one of the two recorded trials that it is made of errs. How much a
vote of made maps gains over its best member, against a vote of recorded ones, is printed beside the figures.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from ensembling.scores import confusion_matrix, miou
from tests.benchmarks.recorded_pool import RecordedPool

STEP = 5  # of the pixels, every n-th is kept
PATCH = 3.0  # pixels: about how large the patches are
TRIES = 6  # shares of the better trial that are looked at


@dataclass(frozen=True, eq=False)
class MadeMaps:
    """Maps uint8 (pixels,) for any score on a pool's holdout; `target` are its masks at the same pixels."""

    pool: RecordedPool
    rows: np.ndarray
    target: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, pool: RecordedPool) -> "MadeMaps":
        rows = np.arange(0, pool.target.size, STEP)
        target = pool.target[rows].copy()
        scores = [miou(confusion_matrix(maps[rows], target, pool.num_classes)) for maps in pool.predictions]
        return cls(pool, rows, target, np.array(scores))

    def make(self, score: float, seed: list[int]) -> np.ndarray:
        """Return maps whose mIoU is close to `score`, mixed of two recorded trials that are near it.

        Where `score` is above the best recorded one, patches of the best are mixed with the masks themselves.
        """
        rng = np.random.default_rng(seed)
        better, worse = self._parents(score, rng)
        order = self._patches(rng)
        low, high = 0.0, 1.0
        for _ in range(TRIES):
            share = (low + high) / 2
            mixed = np.where(order < share, better, worse)
            if miou(confusion_matrix(mixed, self.target, self.pool.num_classes)) < score:
                low = share
            else:
                high = share
        return mixed

    def _parents(self, score: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        above, below = np.flatnonzero(self.scores >= score), np.flatnonzero(self.scores < score)
        near = lambda found: found[np.argsort(abs(self.scores[found] - score))[:6]]  # noqa: E731
        worse = self._recorded(rng.choice(near(below))) if len(below) else np.zeros_like(self.target)
        return (self._recorded(rng.choice(near(above))) if len(above) else self.target), worse

    def _recorded(self, trial: int) -> np.ndarray:
        return self.pool.predictions[trial][self.rows]

    def _patches(self, rng: np.random.Generator) -> np.ndarray:
        """Return a number in 0..1 for each pixel, evenly spread, alike for pixels that lie side by side."""
        field = gaussian_filter(rng.standard_normal(self.target.size), PATCH)
        order = np.empty(field.size)
        order[np.argsort(field)] = np.linspace(0, 1, field.size)
        return order
