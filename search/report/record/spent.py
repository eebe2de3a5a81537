"""What a search has cost, and what stopping trials early has saved."""

from collections import Counter
from dataclasses import dataclass

from search.report.record.study_record import StudyRecord


@dataclass(frozen=True)
class Spent:
    """Epochs and hours of training; `full_epochs` and `full_hours` are those of every trial run to its end.

    `full_hours` is an estimate: each trial's missing epochs take as long as its own did on average. Trials that failed
    and trials that go on count with what they have trained. `gpu_hours` is None where nothing says how many GPUs a
    trial had.
    """

    statuses: dict[str, int]
    epochs: int
    full_epochs: int
    hours: float
    full_hours: float
    gpu_hours: float | None

    @property
    def saved(self) -> float:
        """Return the share of the hours that stopping early saved."""
        return 1 - self.hours / self.full_hours if self.full_hours else 0.0


def what_was_spent(study: StudyRecord, gpus_per_trial: float | None = None) -> Spent:
    """Return what the study's trials took so far."""
    trained = [(len(trial.records), trial.epochs, trial.seconds, trial.status) for trial in study.trials]
    missing = [
        (total - done, seconds / done) for done, total, seconds, status in trained if done and status == "stopped"
    ]
    epochs, hours = sum(done for done, *_ in trained), sum(seconds for *_, seconds, _ in trained) / 3600
    return Spent(
        statuses=dict(Counter(trial.status for trial in study.trials)),
        epochs=epochs,
        full_epochs=epochs + sum(rest for rest, _ in missing),
        hours=hours,
        full_hours=hours + sum(rest * seconds for rest, seconds in missing) / 3600,
        gpu_hours=None if gpus_per_trial is None else hours * gpus_per_trial,
    )
