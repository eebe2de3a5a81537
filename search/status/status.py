"""StudyStatus: how far a study is, as plain values, wherever they were read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

ENDED = ("completed", "stopped", "failed")
RECENT = 40  # epochs by which the study's pace is measured


@dataclass(frozen=True)
class TrialStatus:
    """One trial: `status` is completed, stopped, failed or unfinished, and `scores` are its holdout mIoU by epoch.

    `moments` are when its epochs ended, in seconds since 1970, and `epoch_s` how long they take on average.
    """

    number: int
    label: str
    status: str
    epochs: int
    scores: tuple[float, ...]
    moments: tuple[float, ...]
    epoch_s: float | None
    memory_gb: float | None = None

    @property
    def epoch(self) -> int:
        return max(len(self.scores), len(self.moments))

    @property
    def best(self) -> float | None:
        return max(self.scores, default=None) if self.status != "failed" else None

    def seconds_left(self, now: float) -> float | None:
        """Return what the trial still takes if nothing stops it; None before its first epoch has ended."""
        if self.epoch_s is None or not self.moments:
            return None
        return max(0.0, (self.epochs - self.epoch) * self.epoch_s - (now - self.moments[-1]))


@dataclass(frozen=True)
class StudyStatus:
    """A study at the moment `now`. `total` is how many trials it is to have, None where nothing says so.

    `vote` is what the vote of its trials scores so far, or that of its ensemble; `rungs` are ASHA's epochs.
    """

    name: str
    now: float
    total: int | None
    rungs: tuple[int, ...]
    trials: tuple[TrialStatus, ...]
    vote: float | None

    @cached_property
    def counts(self) -> Counter:
        return Counter(trial.status for trial in self.trials)

    @property
    def ended(self) -> int:
        return sum(self.counts[status] for status in ENDED)

    @property
    def unfinished(self) -> list[TrialStatus]:
        return [trial for trial in self.trials if trial.status not in ENDED]

    @property
    def best(self) -> TrialStatus | None:
        scored = [trial for trial in self.trials if trial.best is not None]
        return max(scored, key=lambda trial: (trial.best, -trial.number), default=None)

    @property
    def quiet_s(self) -> float | None:
        """The seconds since an epoch ended anywhere; None before the first."""
        moments = [trial.moments[-1] for trial in self.trials if trial.moments]
        return max(0.0, self.now - max(moments)) if moments else None

    @property
    def seconds_left(self) -> float | None:
        """What the study still takes at the pace of its last epochs; None where too little is known.

        Trials that are not done are expected to train as long as those that ended did on average.
        """
        if self.total is None:
            return None
        ended = [trial.epoch for trial in self.trials if trial.status in ("completed", "stopped")]
        expected = _mean(ended) if ended else _mean([trial.epochs for trial in self.trials])
        left = (self.total - len(self.trials)) * (expected or 0)
        left += sum(max(1, min(expected or 0, trial.epochs) - trial.epoch) for trial in self.unfinished)
        if left <= 0:
            return 0.0
        pace = self._seconds_per_epoch()
        return None if pace is None else left * pace

    def _seconds_per_epoch(self) -> float | None:
        """Over all trials side by side, of the last epochs; a pause of the whole study counts little among many."""
        moments = sorted(moment for trial in self.trials for moment in trial.moments)[-RECENT:]
        return (moments[-1] - moments[0]) / (len(moments) - 1) if len(moments) > 1 else None

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
            "seconds_since_last_epoch": self.quiet_s,
            "rungs": list(self.rungs),
            "trials": [
                {**asdict(trial), "best": trial.best, "seconds_left": trial.seconds_left(self.now)}
                for trial in self.trials
            ],
        }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
