"""Progress: what the driver of a study knows of its trials while they run. `screen.py` shows it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trainables.config import FOLD_ALL
from trainables.trial.running_epoch import RunningEpoch

LABEL_PARAMS = ("head", "backbone", "loss", "lr")


def label_of(params: dict[str, Any]) -> str:
    """Return the choices of a configuration that tell trials apart, in a few words."""
    values = [params[name] for name in LABEL_PARAMS if params.get(name) is not None]
    if str(params.get("fold", FOLD_ALL)) != FOLD_ALL:
        values.append(f"fold {params['fold']}")
    return " ".join(f"{value:.2g}" if isinstance(value, float) else str(value) for value in values)


@dataclass
class TrialProgress:
    """One trial that has started: `status` is running, paused, completed, stopped or failed.

    The thread of the search changes it while others read it, so that each method reads `running` once.
    """

    number: int
    params: dict[str, Any]
    epochs: int
    epoch: int = 0  # the last one that ended
    loss: float | None = None
    miou: float | None = None
    best: float | None = None  # of the epoch that is kept, where anything is scored
    status: str = "running"
    scores: list[float] = field(default_factory=list)  # of the epochs that this command saw
    epoch_s: float | None = None  # that the last epoch took
    moment: float | None = None  # at which it ended, by the study's clock
    running: RunningEpoch | None = None  # the epoch in progress, where something is known of it
    seen: float = 0.0  # when that was first read, by the study's clock

    @property
    def label(self) -> str:
        return label_of(self.params)

    @property
    def share(self) -> float:
        """Return the share of the epoch in progress that is trained; 0 where nothing is known of it."""
        running = self.running
        return running.share if running else 0.0

    def look(self, running: RunningEpoch | None, now: float) -> None:
        """Take in what the trial's process wrote of its epoch in progress; what is out of date is left out."""
        if running is None or running.epoch <= self.epoch:
            self.running = None
        elif running != self.running:
            self.running, self.seen = running, now

    def seconds_left(self, now: float) -> float | None:
        """Return how long the trial still takes if nothing stops it; None before its first step."""
        running = self.running
        expected = self.epoch_s if self.epoch_s is not None else running and running.expected_s
        if expected is None:
            return None
        if running:
            spent = running.elapsed_s + now - self.seen
        else:
            spent = now - self.moment if self.moment is not None else 0.0
        return max(0.0, (self.epochs - self.epoch) * expected - spent)


@dataclass
class Progress:
    """The state of the study: what the screen shows and the tracker logs. `clock` returns seconds."""

    total: int
    epochs: int  # of a trial, unless its configuration has its own
    rungs: tuple[int, ...] = ()  # epochs at which ASHA compares trials
    vote: float | None = None  # what a vote of the trials that have ended would score
    kept: str | None = "best"  # which epoch's score counts: "best", "last", or None where nothing is scored
    budget_s: float | None = None  # after which this command ends, however many trials are left
    clock: Callable[[], float] = time.monotonic
    trials: dict[int, TrialProgress] = field(default_factory=dict)
    epochs_trained: int = 0  # by this command
    started: float | None = None  # of the first epoch that this command saw

    def start(self, number: int, params: dict[str, Any], epochs_done: int = 0, best: float | None = None) -> None:
        self.started = self.clock() if self.started is None else self.started
        epochs = params.get("epochs", self.epochs)
        self.trials[number] = TrialProgress(number, params, epochs, epoch=epochs_done, best=best)

    def look(self, read: Callable[[int], RunningEpoch | None]) -> None:
        """Take in how far the epochs in progress are; `read` returns that of the trial with a number."""
        for trial in self.running:
            trial.look(read(trial.number), self.clock())

    def epoch(self, number: int, record: dict[str, Any], best: float | None) -> None:
        """Take in an epoch that ended; `best` is the score of the epoch that is kept so far."""
        trial = self.trials[number]
        self.epochs_trained += record["epoch"] - trial.epoch
        trial.epoch, trial.miou, trial.loss = record["epoch"], record.get("holdout/miou"), record.get("train/loss")
        trial.best, trial.running = best, None
        trial.scores += [trial.miou] if trial.miou is not None else []
        trial.epoch_s, trial.moment = record.get("epoch_s"), self.clock()

    def end(self, number: int, status: str) -> None:
        self.trials[number].status = status

    def _begun(self) -> list[TrialProgress]:
        """Return the trials as they are now: other threads may look while one more begins."""
        return list(self.trials.values())

    def count(self, *statuses: str) -> int:
        return sum(trial.status in statuses for trial in self._begun())

    @property
    def ended(self) -> int:
        return self.count("completed", "stopped", "failed")

    @property
    def running(self) -> list[TrialProgress]:
        return [trial for trial in self._begun() if trial.status == "running"]

    @property
    def best(self) -> TrialProgress | None:
        scored = [trial for trial in self._begun() if trial.best is not None and trial.status != "failed"]
        return max(scored, key=lambda trial: (trial.best, -trial.number), default=None)

    def seconds_left(self) -> float | None:
        """Return how long the study still takes at this command's rate of epochs; None before its first step.

        Trials to come are expected to train as long as those that ended. It is no more than the time budget leaves.
        """
        running, pace = self.running, self._seconds_per_epoch()
        if pace is None or self.started is None:
            return None
        ended = [trial.epoch for trial in self._begun() if trial.status in ("completed", "stopped", "paused")]
        expected = sum(ended) / len(ended) if ended else self.epochs
        left = max(0, self.total - len(self.trials)) * expected  # a resumed study may be asked for fewer than there are
        left += sum(max(1, min(expected, trial.epochs) - trial.epoch) - trial.share for trial in running)
        seconds = left * pace if running or left else 0.0
        spent = self.clock() - self.started
        return seconds if self.budget_s is None else min(seconds, max(0.0, self.budget_s - spent))

    def _seconds_per_epoch(self) -> float | None:
        """Return the seconds between two ends of epochs, of whatever trials; None where nothing is known.

        Before the first has ended, that is by the pace of the steps: processes took their time to start.
        """
        running = self.running
        if self.epochs_trained and self.started is not None:
            return (self.clock() - self.started) / (self.epochs_trained + sum(trial.share for trial in running))
        epochs = [epoch for epoch in (trial.running for trial in running) if epoch and epoch.step]
        return sum(epoch.expected_s for epoch in epochs) / len(epochs) ** 2 if epochs else None
