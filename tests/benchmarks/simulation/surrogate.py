"""A surrogate for recorded trials: what a configuration that was not recorded would have scored, epoch by epoch.

The curves of all data sets, in logits of mIoU as a share of a ceiling, are centred for each data set and cut down to
their principal components, each of which is a Gaussian process. A simulated study takes a function drawn from the
posterior instead of its mean, which would be flatter than any real study: every seed is another world, in which all
recorded curves are as they were.
"""

import json
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from tests.benchmarks.recorded_pool import RecordedPool, Trial
from tests.benchmarks.simulation.process import DrawnFunction, Inputs, Process

COMPONENTS = 4
ROOM = 0.02  # mIoU by which the best conceivable configuration is better than the best recorded one


class Surrogate:
    """Curves and seconds of any configuration on the data sets of `pools`; recorded ones are as they were recorded."""

    def __init__(self, pools: Sequence[RecordedPool]) -> None:
        trials = [(pool.name, trial) for pool in pools for trial in pool.trials]
        self._inputs = Inputs.of([trial.params for _, trial in trials], [name for name, _ in trials])
        self._ceilings = {pool.name: ROOM + max(max(trial.miou) for trial in pool.trials) for pool in pools}
        self._logits = np.stack([_logit(np.array(trial.miou), self._ceilings[name]) for name, trial in trials])
        self._means = {pool.name: self._logits[self._inputs.data == pool.name].mean(0) for pool in pools}
        centred = self._logits - np.stack([self._means[name] for name in self._inputs.data])
        self._axes = np.linalg.svd(centred, full_matrices=False)[2][:COMPONENTS]
        values = centred @ self._axes.T
        self._rest = centred - values @ self._axes  # of each recorded curve: what the components leave out
        self._processes = [Process(self._inputs, column) for column in values.T]
        self._seconds = _SecondsModel([trial for _, trial in trials], self._inputs.data)
        self._recorded = {(name, _text(trial.params)): trial for name, trial in trials}
        self._functions = lru_cache(maxsize=8)(self._draw_functions)

    def errors(self) -> dict[str, tuple[float, float, float]]:
        """Return, for each data set, how well the best score of a trial that is left out is predicted.

        These are the root mean square error in points of mIoU, the same for the mean of the others, and Spearman's
        correlation.
        """
        left_out = np.stack([process.left_out() for process in self._processes], axis=1) @ self._axes
        found = {}
        for name, ceiling in self._ceilings.items():
            rows = self._inputs.data == name
            true = _miou(self._logits[rows], ceiling).max(1)
            guessed = _miou(left_out[rows] + self._means[name], ceiling).max(1)
            others = (true.sum() - true) / (len(true) - 1)
            rms = [100 * float(np.sqrt(np.mean((other - true) ** 2))) for other in (guessed, others)]
            found[name] = (*rms, float(spearmanr(true, guessed).statistic))
        return found

    def curve(self, data: str, params: dict[str, Any], world: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mIoU and seconds of each epoch, float64 (epochs,), in the world of that number."""
        recorded = self._recorded.get((data, _text(params)))
        if recorded:
            return np.array(recorded.miou), np.array(recorded.seconds)
        asked = Inputs.of([params], [data])
        values = np.array([function(asked)[0] for function in self._functions(world)])
        rng = np.random.default_rng([world, zlib.crc32(_text(params).encode())])
        rest = self._rest[rng.choice(np.flatnonzero(self._inputs.data == data))]
        miou = _miou(self._means[data] + values @ self._axes + rest, self._ceilings[data])
        return miou, np.full(len(miou), self._seconds.of(params, data))

    def _draw_functions(self, world: int) -> list[DrawnFunction]:
        return [DrawnFunction(process, [world, number]) for number, process in enumerate(self._processes)]


class _SecondsModel:
    """Seconds an epoch: their logarithm is a sum over the data set, the head, the backbone and the batch size."""

    def __init__(self, trials: Sequence[Trial], data: np.ndarray) -> None:
        rows = [self._parts(trial.params, name) for trial, name in zip(trials, data)]
        self._columns = {part: number for number, part in enumerate(sorted({part for row in rows for part in row}))}
        design = np.stack([self._design(row) for row in rows])
        target = np.log([float(np.median(trial.seconds)) for trial in trials])
        self._mean = target.mean()
        ridge = 0.1 * np.eye(design.shape[1])
        self._weights = np.linalg.solve(design.T @ design + ridge, design.T @ (target - self._mean))

    @staticmethod
    def _parts(params: dict[str, Any], data: str) -> list[str]:
        return [data, *(f"{name}={params[name]}" for name in ("head", "backbone", "batch_size"))]

    def _design(self, row: list[str]) -> np.ndarray:
        design = np.zeros(len(self._columns))
        design[[self._columns[part] for part in row]] = 1
        return design

    def of(self, params: dict[str, Any], data: str) -> float:
        return float(np.exp(self._mean + self._design(self._parts(params, data)) @ self._weights))


def _text(params: dict[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def _logit(miou: np.ndarray, ceiling: float) -> np.ndarray:
    share = np.clip(miou / ceiling, 5e-3, 1 - 5e-3)
    return np.log(share / (1 - share))


def _miou(logit: np.ndarray, ceiling: float) -> np.ndarray:
    return ceiling / (1 + np.exp(-logit))
