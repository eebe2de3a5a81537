"""Plan: everything that is decided before the first trial."""

from dataclasses import dataclass
from typing import Any

from search.study.space import Space
from search.study.study import Study
from search.tuning.resources import Resources


@dataclass(frozen=True)
class Plan:
    """Says what is trained, for how many epochs, and on what.

    A refit has no space, and its points have epochs of their own.
    """

    study: Study
    space: Space | None
    points: list[dict[str, Any]]  # of the grid, or of the refit; empty where the space is searched
    trials: int
    epochs: int
    grace_period: int
    last_rung: int
    resources: Resources

    @property
    def first(self) -> dict[str, Any]:
        return self.points[0] if self.points else self.space.first()
