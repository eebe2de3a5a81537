"""How trials with each value of a factor scored: a description of what was tried, not an experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.report.record.study_record import StudyRecord, TrialRecord

BINS = 4  # of a factor whose values are numbers drawn from a range
# A number that has more values than these is drawn from a range.
MOST_INTEGERS = 8
MOST_FRACTIONS = 4


@dataclass(frozen=True)
class ValueScores:
    """The trials that had one value of a factor, or a value of one range.

    `common` are the scores at the epoch that every trial came to, which compare alike; `best` is the highest score of
    any epoch, and `finished` how many trials were trained to their end.
    """

    label: str
    trials: tuple[TrialRecord, ...]
    common: tuple[float, ...]
    best: float
    finished: int

    @property
    def mean(self) -> float | None:
        return float(np.mean(self.common)) if self.common else None

    @property
    def standard_error(self) -> float | None:
        """Return the standard error of the mean; None with fewer than two trials."""
        return float(np.std(self.common, ddof=1) / len(self.common) ** 0.5) if len(self.common) > 1 else None


def is_range(values: Sequence[Any]) -> bool:
    """Return whether these values of a factor are numbers drawn from a range, rather than choices from a list."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    fractions = any(isinstance(value, float) and not value.is_integer() for value in values)
    return numbers and len(values) > (MOST_FRACTIONS if fractions else MOST_INTEGERS)


def in_words(value: Any) -> str:
    """Return a factor's value as people write it: a fraction in three digits, where one that was drawn has many."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def scores_by_value(study: StudyRecord, factor: str) -> list[ValueScores]:
    """Return the scores of each value of the factor; of four ranges, as full as each other, where it is a range."""
    trials = [trial for trial in study.scored if factor in trial.params]
    values = study.factors[factor]
    if not is_range(values):
        groups = [(in_words(value), [trial for trial in trials if trial.params[factor] == value]) for value in values]
    else:
        ordered = sorted(trials, key=lambda trial: trial.params[factor])
        parts = [part.tolist() for part in np.array_split(np.array(ordered, dtype=object), BINS) if len(part)]
        groups = [(_range(part[0].params[factor], part[-1].params[factor]), part) for part in parts]
    return [_scores(label, some, study.common_epoch) for label, some in groups if some]


def _range(low: float, high: float) -> str:
    return f"{low:.2g} … {high:.2g}" if low != high else f"{low:.2g}"


def scores_by_fold(study: StudyRecord) -> list[tuple[str, int, float | None, float | None]]:
    """Return for each fold its trials' number, and their mean scores on the holdout and on the fold itself.

    Both are at the epoch that every trial came to. A trial with fold "all" leaves none out and has no second score.
    """
    rows = []
    for value in study.factors.get("fold", []):
        trials = [trial for trial in study.scored if trial.params.get("fold") == value]
        epoch = study.common_epoch
        reached = [trial.records[epoch - 1] for trial in trials if len(trial.records) >= epoch]
        means = [_mean([record[key] for record in reached if key in record]) for key in ("holdout/miou", "fold/miou")]
        rows.append((str(value), len(trials), *means))
    return rows


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _scores(label: str, trials: Sequence[TrialRecord], common_epoch: int) -> ValueScores:
    common = [score for trial in trials if (score := trial.best_until(common_epoch)) is not None]
    finished = sum(trial.status == "completed" for trial in trials)
    return ValueScores(label, tuple(trials), tuple(common), max(trial.best for trial in trials), finished)
