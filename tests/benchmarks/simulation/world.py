"""A world: one function drawn from the surrogate on one data set, and what the best of its configurations reach."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ensembling import select_ensemble
from tests.benchmarks.recording.space import Draw, suggest
from tests.benchmarks.simulation.made_maps import MadeMaps
from tests.benchmarks.simulation.surrogate import Surrogate

POOL_SIZE = 150
"""Configurations drawn at random, the best of which says what a search is to reach."""
MOST_VOTERS = 24  # the best ones, at most
FIRST_NUMBER = 10**6  # of the pool's trials, beyond the numbers of any study's


@dataclass(frozen=True, eq=False)
class World:
    """The data set of `maps` in the world number `seed` of the surrogate."""

    surrogate: Surrogate
    maps: MadeMaps
    seed: int

    def curve(self, params: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return mIoU and seconds of each epoch of a configuration, float64 (epochs,)."""
        return self.surrogate.curve(self.maps.pool.name, params, world=self.seed)

    def made_maps(self, score: float, number: int) -> np.ndarray:
        """Return class maps uint8 (pixels,) of that mIoU for the trial `number`."""
        return self.maps.make(score, [self.seed, number])

    def vote(self, voters: dict[int, tuple[float, np.ndarray]]) -> float:
        """Return the mIoU of the best vote of trials; `voters` are their scores and class maps by number."""
        best = sorted(voters.values(), key=lambda voter: -voter[0])[:MOST_VOTERS]
        rows = [maps for _, maps in best]
        return select_ensemble(rows, self.maps.target, self.maps.pool.num_classes, max_members=15).miou

    @cached_property
    def best_single(self) -> float:
        """The best score of a pool that is drawn at random, where each trial is trained to its end."""
        return float(self._pool_scores[0])

    @cached_property
    def best_vote(self) -> float:
        """The best vote of that pool."""
        scores = self._pool_scores[:MOST_VOTERS]
        return self.vote({n: (score, self.made_maps(score, FIRST_NUMBER + n)) for n, score in enumerate(scores)})

    def fewest_epochs(self, close: float) -> int:
        """Return after how many epochs the first of the pool's trials is within `close` of the best score of all."""
        return min(
            int(np.argmax(curve >= self.best_single - close)) + 1
            for curve in self._pool_curves
            if curve.max() >= self.best_single - close
        )

    @cached_property
    def _pool_scores(self) -> np.ndarray:
        """The best scores of the pool's trials, from the best on."""
        return -np.sort([-curve.max() for curve in self._pool_curves])

    @cached_property
    def _pool_curves(self) -> list[np.ndarray]:
        draws = [Draw(seed=10**6 * (self.seed + 1) + number) for number in range(POOL_SIZE)]
        for draw in draws:
            suggest(draw)
        return [self.curve(draw.params)[0] for draw in draws]
