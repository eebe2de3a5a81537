"""At which epochs ASHA compares trials: arithmetic alone, so that reading it needs no Ray."""

import itertools
import math

RUNGS = {"promote": 3, "stop": 2}
"""How many rungs below the last epoch a study has where nobody says where the first one is, by its scheduler.

A trial that is paused too early can be promoted later, so that promotion may compare trials earlier than stopping.
"""


def default_grace_period(epochs: int, reduction_factor: float, scheduler: str) -> int:
    """Return the epochs before the first rung that leave room for the others below the last epoch.

    With a factor of 3 the first rung is a twenty-seventh of the way under "promote", a ninth under "stop".
    """
    return max(1, int(epochs / reduction_factor ** RUNGS[scheduler]))


def rungs(epochs: int, grace_period: int, reduction_factor: float) -> list[int]:
    """Return the epochs of the first bracket's rungs below `epochs`, ascending; `epochs` itself where none is below."""
    found: list[int] = []
    for power in itertools.count():
        rung = math.ceil(grace_period * reduction_factor**power)
        if rung >= epochs:
            return list(dict.fromkeys(found)) or [epochs]
        found.append(rung)
