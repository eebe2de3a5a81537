"""RankModel: what the trials of other studies let one expect of a configuration, by ranks instead of scores.

Scores of different data sets cannot be compared, but the places of the trials within their studies can: they are
turned into quantiles of a normal distribution, and a Gaussian process predicts them (Salinas, Shen and Perrone, A
Quantile-based Approach for Hyperparameter Transfer Learning, ICML 2020).
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from search.study.choices import Choice

LENGTH = 0.3  # of a number's range; values that are closer are alike
JOINT = 0.3  # the weight of all choices taken together; the rest is a sum over single choices
NOISE = 1.0  # variance; that of the quantiles is 1
FIRST_CANDIDATES = 16
FADING = 20.0  # trials after which the number of candidates has fallen to 1/e


class RankModel:
    """Expects more of a configuration the more it is like those that did well in other studies.

    The configurations are compared by the suggestions that this study's space has as well. The model is not told of
    this study's own trials. Instead, its influence fades as the study has more of them: it chooses among fewer and
    fewer `candidates`, and at last among one, which is no choice.
    """

    def __init__(self, choices: Mapping[str, Choice], trials: Sequence[tuple[dict[str, Any], float]]) -> None:
        """`trials` are values of suggestions, and the place of their trial in its study, above 0 and below 1."""
        self._choices = choices
        self._known = self._columns([values for values, _ in trials])
        quantiles = [NormalDist().inv_cdf(place) for _, place in trials]
        covariances = self._covariances(self._known) + NOISE * np.eye(len(trials))
        self._weights = np.linalg.solve(covariances, quantiles)

    @staticmethod
    def candidates(trials: int) -> int:
        """Return among how many configurations the model chooses where this study has `trials` already."""
        return max(1, round(FIRST_CANDIDATES * math.exp(-trials / FADING)))

    def expected(self, values: dict[str, Any]) -> float:
        """Return the expected place of a configuration as a quantile of a normal distribution; 0 is the middle."""
        return float(self._covariances(self._columns([values]))[0] @ self._weights)

    def _columns(self, rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
        """Return for each choice its values (rows,), NaN where a configuration has none.

        Values of a categorical choice are their places in it, and numbers are shares of their range.
        """
        return {
            name: np.array([_place(choice, row[name]) if name in row else np.nan for row in rows])
            for name, choice in self._choices.items()
        }

    def _covariances(self, asked: dict[str, np.ndarray]) -> np.ndarray:
        """Return the covariances (asked, known), without noise."""
        total, product = 0.0, 1.0
        for name, choice in self._choices.items():
            left, right = asked[name][:, None], self._known[name][None]
            alike = left == right if choice.values else np.exp(-0.5 * ((left - right) / LENGTH) ** 2)
            alike = np.where(np.isnan(left) | np.isnan(right), np.isnan(left) & np.isnan(right), alike)
            total, product = total + alike, product * (0.5 + 0.5 * alike)
        return (1 - JOINT) * total / len(self._choices) + JOINT * product


def _place(choice: Choice, value: Any) -> float:
    if choice.values:
        return float(next(place for place, one in enumerate(choice.values) if choice.same(one, value)))
    if choice.low == choice.high:
        return 0.5
    scale = math.log if choice.log else float
    return (scale(value) - scale(choice.low)) / (scale(choice.high) - scale(choice.low))
