"""ASHA that promotes (Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, algorithm 2)."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ray.tune.schedulers import TrialScheduler

from search.tuning.schedulers.ladder import Ladder, Run, Rung
from search.tuning.schedulers.scheduler import Scheduler


class Promotion(Scheduler):
    """Pauses each trial at each rung. The searcher asks for `next_promotion` whenever a slot is free.

    Ray Tune knows nothing of pauses: for it the trial ends, and a new trial with the same number goes on from the files
    in the trial's directory, as in a study that is resumed. A trial that is to be promoted at once goes on in its own
    process.
    """

    def __init__(self, ladder: Ladder) -> None:
        super().__init__()
        self._ladder = ladder
        self.no_new_trials = False
        """Set when the study has begun all its trials. Then shares of a rung are rounded up, so that the best of the
        last trials come to their end although few others came as far."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if result.get("failure"):
            return TrialScheduler.CONTINUE  # the trial says itself that it is done
        if result["epoch"] >= self._ladder.epochs:
            return TrialScheduler.STOP
        number = trial.config["number"]
        if self._ladder.enter(number, result) is None:
            return TrialScheduler.CONTINUE
        self.paused.add(number)
        if self.next_promotion() == number:
            self.promote(number)
            return TrialScheduler.CONTINUE
        return TrialScheduler.STOP

    def next_promotion(self) -> int | None:
        """Return the number of the paused trial that is to be promoted; None where there is none.

        It is the best of those that are among the best 1/`reduction_factor` of all that came to their rung, and that
        have not been promoted from it. Later rungs come first. Of the trials that only a share rounded up lets go on,
        those at earlier rungs come first: others may follow them.
        """
        rungs = sorted(self._all_rungs(), key=lambda rung: -rung.epoch)
        found = self._first_waiting(rungs, round_share=math.floor)
        if found is None and self.no_new_trials:
            found = self._first_waiting(reversed(rungs), round_share=math.ceil)
        return found

    def _first_waiting(self, rungs: Iterable[Rung], *, round_share: Callable[[float], int]) -> int | None:
        for rung in rungs:
            ranked = sorted(rung.scores, key=lambda number: (-rung.scores[number], number))
            best = ranked[: round_share(len(ranked) / self._ladder.reduction_factor)]
            for number in best:
                if number in self.paused and number not in rung.passed:
                    return number
        return None

    def promote(self, number: int) -> None:
        """Note that the paused trial goes on."""
        self.paused.discard(number)
        for rung in self._ladder.bracket(number):
            if number in rung.scores:
                rung.passed.add(number)

    def _all_rungs(self) -> Iterable[Rung]:
        return (rung for bracket in self._ladder.brackets for rung in bracket if rung.epoch < self._ladder.epochs)

    def replay(self, runs: Sequence[Run]) -> set[int]:
        """Enter the scores of the ledger's trials, and note which of them are paused; none is stopped by that.

        A trial is paused where its last epoch is at a rung. One that was promoted and killed before the end of its next
        epoch waits there again.
        """
        for run in runs:
            for record in run.records:
                rung = self._ladder.enter(run.number, record)
                if rung and (record is not run.records[-1] or run.ended):
                    rung.passed.add(run.number)
                elif rung and record["epoch"] < self._ladder.epochs:
                    self.paused.add(run.number)
        return set()
