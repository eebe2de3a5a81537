"""At which epochs ASHA compares trials: arithmetic alone, so that reading it needs no Ray."""

import itertools
import math


def default_grace_period(epochs: int, reduction_factor: float) -> int:
    """Return the epochs before the first rung that leave room for a second one below the last epoch.

    With a factor of 3 the first rung is a ninth of the way.
    """
    return max(1, int(epochs / reduction_factor**2))


def rungs(epochs: int, grace_period: int, reduction_factor: float) -> list[int]:
    """Return the epochs of the first bracket's rungs below `epochs`, ascending; `epochs` itself where none is below."""
    found: list[int] = []
    for power in itertools.count():
        rung = math.ceil(grace_period * reduction_factor**power)
        if rung >= epochs:
            return list(dict.fromkeys(found)) or [epochs]
        found.append(rung)
