"""ASHA (Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020), for Ray Tune."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from trainables.study_data import OBJECTIVE

Run = tuple[int, list[dict[str, Any]]]
"""A trial's number in its study, and the records of its epochs."""


@dataclass(frozen=True)
class Rung:
    """An epoch at which trials are compared, and what those that came to it scored there, by their numbers."""

    epoch: float
    scores: dict[int, float]


class Asha(FIFOScheduler):
    """Stops a trial at a rung unless it is among the best 1/`reduction_factor` of those that came there so far.

    Rungs are the epochs grace_period × reduction_factor^k for k = 0, 1, …, shifted by one for each further bracket. The
    decisions are those of Ray's AsyncHyperBandScheduler; which bracket a trial is in depends on the study's seed and
    the trial's number alone, and a trial is known by that number, since it has another id in Tune when it is resumed.
    """

    def __init__(self, *, epochs: int, grace_period: int, reduction_factor: float, brackets: int, seed: int) -> None:
        super().__init__()
        self._epochs, self._reduction_factor, self._seed = epochs, reduction_factor, seed
        levels = math.log(epochs / grace_period) / math.log(reduction_factor)
        self.brackets = [
            [Rung(grace_period * reduction_factor ** (k + shift), {}) for k in range(int(levels - shift + 1))]
            for shift in range(brackets)
        ]

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if result.get("failure"):  # its worst value is no score that others should be compared with
            return TrialScheduler.CONTINUE
        if result["epoch"] >= self._epochs:
            return TrialScheduler.STOP
        goes_on = self._enter(trial.config["number"], result)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if not result.get("failure"):
            self._enter(trial.config["number"], result)

    def replay(self, runs: Sequence[Run]) -> set[int]:
        """Enter the scores of the ledger's trials; return the numbers of those that were stopped at their last epoch.

        Scores are entered in the order in which their epochs ended, so that each decision is what it was.
        """
        entries = [(record.get("time", 0.0), number, record) for number, records in runs for record in records]
        goes_on = {}
        for _, number, record in sorted(entries, key=lambda entry: (entry[0], entry[1], entry[2]["epoch"])):
            goes_on[number] = self._enter(number, record)
        last = {number: records[-1]["epoch"] for number, records in runs if records}
        return {number for number, going in goes_on.items() if not going and last[number] < self._epochs}

    def _enter(self, number: int, record: dict[str, Any]) -> bool:
        """Return whether the trial goes on after this epoch, and note its score where the epoch has come to a rung."""
        for rung in reversed(self.bracket(number)):
            if record["epoch"] < rung.epoch or number in rung.scores:
                continue
            others = list(rung.scores.values())
            rung.scores[number] = record[OBJECTIVE]
            return not others or record[OBJECTIVE] >= np.percentile(others, 100 * (1 - 1 / self._reduction_factor))
        return True

    def bracket(self, number: int) -> list[Rung]:
        """Return the rungs of trial `number`, ascending; brackets with more rungs are likelier, as in Ray's own."""
        lengths = np.array([len(bracket) for bracket in self.brackets])
        weights = np.exp(lengths - lengths.max())
        chosen = np.random.default_rng((self._seed, number)).choice(len(lengths), p=weights / weights.sum())
        return self.brackets[chosen]
