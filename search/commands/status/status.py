"""StudyStatus: how far a study is, as plain values, wherever they were read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from trainables.trial.running_epoch import RunningEpoch

ENDED = ("completed", "stopped", "failed")
PAUSED = "paused"  # at a rung, where most trials stay
RECENT = 40  # epochs by which the study's pace is measured


@dataclass(frozen=True)
class TrialStatus:
    """One trial: `status` is completed, stopped, failed, paused or unfinished; `scores` are its holdout mIoU by epoch.

    `moments` are when its epochs ended, in seconds since 1970, and `epoch_s` how long they take on average. `loss` is
    the training loss of the last one, and `running` says how far the epoch in progress is, where that is known.
    """

    number: int
    label: str
    status: str
    epochs: int
    scores: tuple[float, ...]
    moments: tuple[float, ...]
    epoch_s: float | None
    memory_gb: float | None = None
    loss: float | None = None
    running: RunningEpoch | None = None

    @property
    def epoch(self) -> int:
        return max(len(self.scores), len(self.moments))

    @property
    def best(self) -> float | None:
        return max(self.scores, default=None) if self.status != "failed" else None

    def seconds_left(self, now: float) -> float | None:
        """Return how long the trial still takes if nothing stops it; None before its first step."""
        expected = self.epoch_s if self.epoch_s is not None else self.running and self.running.expected_s
        if expected is None:
            return None
        if self.running:
            spent = self.running.elapsed_s + now - self.running.time
        else:
            spent = now - self.moments[-1] if self.moments else 0.0
        return max(0.0, (self.epochs - self.epoch) * expected - spent)

    @property
    def last_sign(self) -> float | None:
        """Return when something was last heard of it, in seconds since 1970."""
        signs = [*self.moments[-1:], *([self.running.time] if self.running else [])]
        return max(signs, default=None)


@dataclass(frozen=True)
class StudyStatus:
    """A study at the moment `now`. `total` is how many trials it is to have, None where nothing says so.

    `vote` is what the vote of its trials scores so far, or that of its ensemble; `rungs` are ASHA's epochs. `gpus` says
    what each GPU of the driver's machine does. `alive` is whether a process runs the study, None where that is not
    known. Where none runs it, no epoch is in progress, and no time left is told.
    """

    name: str
    now: float
    total: int | None
    rungs: tuple[int, ...]
    trials: tuple[TrialStatus, ...]
    vote: float | None
    gpus: tuple[str, ...] = ()
    alive: bool | None = None

    @cached_property
    def counts(self) -> Counter:
        return Counter(trial.status for trial in self.trials)

    @property
    def ended(self) -> int:
        return sum(self.counts[status] for status in ENDED)

    @property
    def unfinished(self) -> list[TrialStatus]:
        """Return the trials that neither ended nor are paused: they train, or a resumed study goes on with them."""
        return [trial for trial in self.trials if trial.status not in (*ENDED, PAUSED)]

    @property
    def best(self) -> TrialStatus | None:
        scored = [trial for trial in self.trials if trial.best is not None]
        return max(scored, key=lambda trial: (trial.best, -trial.number), default=None)

    @property
    def quiet_s(self) -> float | None:
        """Return the seconds since anything was heard of any trial; None before the first sign."""
        signs = [trial.last_sign for trial in self.trials if trial.last_sign is not None]
        return max(0.0, self.now - max(signs)) if signs else None

    @property
    def seconds_left(self) -> float | None:
        """Return how long the study still takes at the pace of its last epochs; None where too little is known, and
        where no process runs it.

        Trials that are not done are expected to train as long as those did on average that ended or are paused.
        """
        if self.total is None or self.alive is False:
            return None
        ended = [trial.epoch for trial in self.trials if trial.status in ("completed", "stopped", PAUSED)]
        expected = _mean(ended) if ended else _mean([trial.epochs for trial in self.trials])
        left = max(0, self.total - len(self.trials)) * (expected or 0)
        for trial in self.unfinished:
            share = trial.running.share if trial.running else 0.0
            left += max(1, min(expected or 0, trial.epochs) - trial.epoch) - share
        if left <= 0:
            return 0.0
        pace = self._seconds_per_epoch()
        return None if pace is None else left * pace

    def seconds_left_of(self, trial: TrialStatus) -> float | None:
        """Return how long a trial still takes if nothing stops it; None where that is not known, or nobody trains."""
        return None if self.alive is False else trial.seconds_left(self.now)

    def _seconds_per_epoch(self) -> float | None:
        """Return the seconds between the ends of the last epochs, of whatever trials; None where nothing is known.

        A pause of the whole study counts little among many epochs. Before two have ended, the pace of the steps in
        progress is taken.
        """
        moments = sorted(moment for trial in self.trials for moment in trial.moments)[-RECENT:]
        if len(moments) > 1:
            return (moments[-1] - moments[0]) / (len(moments) - 1)
        expected = [trial.running.expected_s for trial in self.unfinished if trial.running and trial.running.step]
        return _mean(expected) / len(expected) if expected else None

    def to_dict(self) -> dict[str, Any]:
        """Return all that the screen shows, as plain values for machines."""
        return {
            "study": self.name,
            "total": self.total,
            "ended": self.ended,
            "counts": dict(self.counts),
            "best_trial": self.best.number if self.best else None,
            "best_miou": self.best.best if self.best else None,
            "vote_miou": self.vote,
            "seconds_left": self.seconds_left,
            "seconds_since_last_sign": self.quiet_s,
            "alive": self.alive,
            "gpus": list(self.gpus),
            "rungs": list(self.rungs),
            "trials": [
                {**asdict(trial), "best": trial.best, "seconds_left": self.seconds_left_of(trial)}
                for trial in self.trials
            ],
        }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
