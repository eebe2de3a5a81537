"""Ladder: the rungs of a study, which are epochs at which trials are compared, and what each trial scored there."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trainables.study_data import OBJECTIVE


@dataclass(frozen=True)
class Run:
    """What a scheduler is told of a trial of an earlier command: its number, its epochs, and whether it has ended."""

    number: int
    records: list[dict[str, Any]]
    ended: bool = False


@dataclass(frozen=True)
class Rung:
    """An epoch at which trials are compared, and what those that came to it scored there, by their numbers.

    `passed` are the numbers of those that were trained beyond it.
    """

    epoch: float
    scores: dict[int, float] = field(default_factory=dict)
    passed: set[int] = field(default_factory=set)


class Ladder:
    """The rungs of each bracket.

    They are the epochs grace_period × reduction_factor^k for k = 0, 1, …, shifted by one for each further bracket.
    Which bracket a trial is in depends on the study's seed and the trial's number alone. A trial is known by that
    number, because Ray Tune gives it another id when it is resumed.
    """

    def __init__(self, *, epochs: int, grace_period: int, reduction_factor: float, brackets: int, seed: int) -> None:
        self.epochs, self.reduction_factor, self._seed = epochs, reduction_factor, seed
        levels = math.log(epochs / grace_period) / math.log(reduction_factor)
        self.brackets = [
            [Rung(grace_period * reduction_factor ** (k + shift)) for k in range(int(levels - shift + 1))]
            for shift in range(brackets)
        ]

    def bracket(self, number: int) -> list[Rung]:
        """Return the rungs of trial `number`, ascending; brackets with more rungs are likelier, as in Ray's own."""
        lengths = np.array([len(bracket) for bracket in self.brackets])
        weights = np.exp(lengths - lengths.max())
        chosen = np.random.default_rng((self._seed, number)).choice(len(lengths), p=weights / weights.sum())
        return self.brackets[chosen]

    def enter(self, number: int, record: dict[str, Any]) -> Rung | None:
        """Note a trial's score where its epoch has come to a rung, and return that rung; None elsewhere.

        Where the factor is so small that several rungs lie between two epochs, only the last of them is compared at.
        """
        reached = [rung for rung in self.bracket(number) if rung.epoch <= record["epoch"]]
        if not reached or number in reached[-1].scores:
            return None
        reached[-1].scores[number] = record[OBJECTIVE]
        return reached[-1]
