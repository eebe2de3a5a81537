"""A study without training: the real searcher and scheduler, called as Ray Tune calls them, on a clock of its own."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from trainables.study_data import OBJECTIVE

Curve = Callable[[dict[str, Any]], tuple[np.ndarray, np.ndarray]]
"""From a trial's parameters to mIoU and seconds of each of its epochs."""


@dataclass
class SimulatedTrial:
    """A trial as the simulator knows it, over all its pauses: `epoch` is the last one trained."""

    number: int
    params: dict[str, Any]
    miou: np.ndarray
    seconds: np.ndarray
    epoch: int = 0


@dataclass
class SimulatedStudy:
    """Runs `searcher` and `scheduler` on `slots` until `enough` says so, or neither has anything left.

    `epochs_spent` and `seconds_spent` count all trials; an epoch counts when it ends.
    """

    searcher: Any
    scheduler: Any
    curve: Curve
    slots: int
    epochs_spent: int = 0
    seconds_spent: float = 0.0
    trials: dict[int, SimulatedTrial] = field(default_factory=dict)

    def run(self, enough: Callable[["SimulatedStudy", SimulatedTrial], bool]) -> None:
        """Train; `enough` is asked after each epoch, with the trial that it is of."""
        running: list[tuple[float, int, Any, SimulatedTrial]] = []
        now, handed = 0.0, 0
        while True:
            while len(running) < self.slots:
                config = self.searcher.suggest(f"tune-{handed}")
                if config is None or config == Searcher.FINISHED:
                    break
                tune_trial = SimpleNamespace(trial_id=f"tune-{handed}", config=config)
                handed += 1
                self.scheduler.on_trial_add(None, tune_trial)
                trial = self._trial(config)
                heapq.heappush(running, (now + trial.seconds[trial.epoch], handed, tune_trial, trial))
            if not running:
                return
            now, order, tune_trial, trial = heapq.heappop(running)
            going = self._end_epoch(tune_trial, trial)
            if enough(self, trial):
                return
            if going:
                heapq.heappush(running, (now + trial.seconds[trial.epoch], order, tune_trial, trial))

    def _trial(self, config: dict[str, Any]) -> SimulatedTrial:
        number = config["number"]
        if number not in self.trials:
            params = config["params"]["drawn"]
            self.trials[number] = SimulatedTrial(number, params, *self.curve(params))
        return self.trials[number]

    def _end_epoch(self, tune_trial: Any, trial: SimulatedTrial) -> bool:
        """Report an epoch as Tune does; return whether the trial goes on in its slot."""
        self.epochs_spent += 1
        self.seconds_spent += trial.seconds[trial.epoch]
        result = {"epoch": trial.epoch + 1, OBJECTIVE: float(trial.miou[trial.epoch]), "time": self.seconds_spent}
        result["cost"] = float(trial.seconds[: trial.epoch + 1].sum())
        trial.epoch += 1
        done = trial.epoch == len(trial.miou)
        decision = TrialScheduler.STOP if done else self.scheduler.on_trial_result(None, tune_trial, result)
        if decision == TrialScheduler.STOP:
            self.scheduler.on_trial_complete(None, tune_trial, result)
            self.searcher.on_trial_complete(tune_trial.trial_id, result)
            return False
        self.searcher.on_trial_result(tune_trial.trial_id, result)
        return True
