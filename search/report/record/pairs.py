"""One factor at a time: trials that differ in one parameter alone, compared in pairs."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from search.report.record.study_record import StudyRecord, TrialRecord

PAIRED_BY = ("fold", "seed")  # what makes the pairs, and no factor itself
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """One value of a factor beside the reference value, over the pairs in which all else is the same.

    `mean` is of (score of `value`) − (score of the reference). `low` and `high` bound it with 95 % confidence, by
    Student's t over the pairs' differences; None with one pair, of which nobody can tell chance from effect.
    """

    value: Any
    scores: tuple[float, ...]
    pairs: int
    mean: float | None
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> str:
        """Return what the interval says, in a few words."""
        if self.mean is None:
            return "no pair"
        if self.low is None:
            return "one pair: cannot tell"
        if self.low <= 0 <= self.high:
            return "not shown to differ"
        return "better" if self.mean > 0 else "worse"


@dataclass(frozen=True)
class Comparison:
    """A factor's values beside its `reference` value, which comes first in `differences` with no difference."""

    factor: str
    reference: Any
    differences: tuple[Difference, ...]


def compare_pairs(study: StudyRecord) -> list[Comparison]:
    """Return a comparison for each factor that some trials differ in alone; the most pairs first.

    The reference is the value of most pairs, and of those the one that was trained first.
    """
    comparisons = []
    for factor in study.factors:
        if factor in PAIRED_BY:
            continue
        groups = _groups(study.scored, factor)
        if groups:
            comparisons.append(_compare(factor, groups))
    return sorted(comparisons, key=lambda one: -sum(difference.pairs for difference in one.differences))


def _groups(trials: Sequence[TrialRecord], factor: str) -> list[dict[Any, TrialRecord]]:
    """Return the trials by value of the factor, for each configuration of all else that has several values."""
    groups: dict[str, dict[Any, TrialRecord]] = defaultdict(dict)
    for trial in trials:
        if factor in trial.params:
            rest = {key: value for key, value in trial.params.items() if key not in (factor, "weights_dir")}
            groups[json.dumps(rest, sort_keys=True)].setdefault(trial.params[factor], trial)
    return [group for group in groups.values() if len(group) > 1]


def _compare(factor: str, groups: list[dict[Any, TrialRecord]]) -> Comparison:
    values = sorted({value for group in groups for value in group}, key=lambda value: _first_trained(value, groups))
    reference = max(values, key=lambda value: (sum(value in group for group in groups), -values.index(value)))
    others = [value for value in values if value != reference]
    own = Difference(reference, tuple(group[reference].best for group in groups if reference in group), 0, None)
    return Comparison(factor, reference, (own, *(_difference(value, reference, groups) for value in others)))


def _first_trained(value: Any, groups: list[dict[Any, TrialRecord]]) -> int:
    return min(group[value].number for group in groups if value in group)


def _difference(value: Any, reference: Any, groups: list[dict[Any, TrialRecord]]) -> Difference:
    scores = tuple(group[value].best for group in groups if value in group)
    differences = [group[value].best - group[reference].best for group in groups if {value, reference} <= group.keys()]
    if not differences:
        return Difference(value, scores, 0, None)
    mean = float(np.mean(differences))
    if len(differences) == 1:
        return Difference(value, scores, 1, mean)
    error = float(np.std(differences, ddof=1)) / len(differences) ** 0.5
    reach = float(student.ppf((1 + CONFIDENCE) / 2, len(differences) - 1)) * error
    return Difference(value, scores, len(differences), mean, mean - reach, mean + reach)
