"""ASHA (Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020), as Ray runs it."""

import itertools
import math
from typing import Any

import numpy as np
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler

from trainables.study_data import OBJECTIVE


class Asha(AsyncHyperBandScheduler):
    """Ray's ASHA over epochs, with brackets drawn from the study's seed and rungs that a resumed study refills.

    A rung is an epoch at which a trial goes on only if it is among the best 1/`reduction_factor` there:
    grace_period × reduction_factor^k for k = 0, 1, …, shifted by one for each further bracket.
    """

    def __init__(self, *, epochs: int, grace_period: int, reduction_factor: float, brackets: int, seed: int) -> None:
        super().__init__(
            time_attr="epoch",
            metric=OBJECTIVE,
            mode="max",
            max_t=epochs,
            grace_period=grace_period,
            reduction_factor=reduction_factor,
            brackets=brackets,
        )
        self._seed = seed

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        entrant = _entrant(trial)
        self._trial_info[entrant.trial_id] = self._bracket(entrant.number)

    def _bracket(self, number: int) -> Any:
        """The bracket of trial `number`; brackets with more rungs are likelier, as in Ray's own."""
        rungs = np.array([len(bracket._rungs) for bracket in self._brackets])
        weights = np.exp(rungs - rungs.max())
        chosen = np.random.default_rng((self._seed, number)).choice(len(rungs), p=weights / weights.sum())
        return self._brackets[chosen]

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return super().on_trial_result(tune_controller, _entrant(trial), result)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if result.get("failure"):  # its worst value is no score that others should be compared with
            self._trial_info.pop(_entrant(trial).trial_id)
        else:
            super().on_trial_complete(tune_controller, _entrant(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_remove(tune_controller, _entrant(trial))

    def replay(self, number: int, records: list[dict[str, Any]]) -> None:
        """Enters the scores of a trial of the ledger into its rungs, also of one that will go on."""
        known = _Entrant(number)
        for record in records:
            self._bracket(number).on_result(known, record["epoch"], record[OBJECTIVE])


class _Entrant:
    """A trial by its number in the study: resumed, it has another id in Tune, but is in each rung once."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.trial_id = str(number)


def _entrant(trial: Any) -> _Entrant:
    return _Entrant(trial.config["number"])


class NoStopping(FIFOScheduler):
    """Every trial runs to its own end: for grids, where a factor is compared with all else the same, and refits."""

    def replay(self, number: int, records: list[dict[str, Any]]) -> None:
        """Nothing: no trial is compared with another."""


def default_grace_period(epochs: int, reduction_factor: float) -> int:
    """Room for two rungs below the last epoch: the first a ninth of the way with factor 3."""
    return max(1, int(epochs / reduction_factor**2))


def rungs(epochs: int, grace_period: int, reduction_factor: float) -> list[int]:
    """Epochs of the first bracket's rungs below `epochs`, ascending."""
    found: list[int] = []
    for power in itertools.count():
        rung = math.ceil(grace_period * reduction_factor**power)
        if rung >= epochs:
            return list(dict.fromkeys(found)) or [epochs]
        found.append(rung)
