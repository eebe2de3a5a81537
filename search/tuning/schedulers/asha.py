"""ASHA that stops: trials that fall behind at a rung end there (Ray's version of Li et al., MLSys 2020)."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from ray.tune.schedulers import TrialScheduler

from search.tuning.schedulers.ladder import Ladder, Run
from search.tuning.schedulers.scheduler import Scheduler
from trainables.study_data import OBJECTIVE


class Asha(Scheduler):
    """Stops a trial at a rung unless it is among the best 1/`reduction_factor` of those that came there so far.

    The decisions are those of Ray's AsyncHyperBandScheduler. The first trial at a rung has nobody to be compared with,
    and goes on.
    """

    def __init__(self, ladder: Ladder) -> None:
        super().__init__()
        self._ladder = ladder

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if result.get("failure"):  # its worst value is no score that others should be compared with
            return TrialScheduler.CONTINUE
        if result["epoch"] >= self._ladder.epochs:
            return TrialScheduler.STOP
        goes_on = self._enter(trial.config["number"], result)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if not result.get("failure"):
            self._enter(trial.config["number"], result)

    def replay(self, runs: Sequence[Run]) -> set[int]:
        """Enter the scores of the ledger's trials; return the numbers of those that were stopped at their last epoch.

        Scores are entered in the order in which their epochs ended, so that each decision is what it was. A trial's own
        epochs are entered in their order, even where the clock of its machine was set back between them.
        """
        entries = []
        for run in runs:
            ends = itertools.accumulate((record.get("time", 0.0) for record in run.records), max)
            entries += [(end, run.number, record) for end, record in zip(ends, run.records)]
        goes_on = {}
        for _, number, record in sorted(entries, key=lambda entry: entry[:2]):  # a stable sort keeps a trial's order
            goes_on[number] = self._enter(number, record)
        last = {run.number: run.records[-1]["epoch"] for run in runs if run.records}
        return {number for number, going in goes_on.items() if not going and last[number] < self._ladder.epochs}

    def _enter(self, number: int, record: dict[str, Any]) -> bool:
        """Return whether the trial goes on after this epoch, and note its score where the epoch has come to a rung."""
        rung = self._ladder.enter(number, record)
        others = [score for other, score in rung.scores.items() if other != number] if rung else []
        share = 1 - 1 / self._ladder.reduction_factor
        return not others or record[OBJECTIVE] >= np.percentile(others, 100 * share)
