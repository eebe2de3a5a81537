"""NoStopping: the scheduler of grids and refits, whose trials all run to their own end."""

from collections.abc import Sequence

from ray.tune.schedulers import FIFOScheduler

from search.tuning.schedulers.asha import Run


class NoStopping(FIFOScheduler):
    """Lets every trial run to its own end: in grids, where a factor is compared with all else the same, and refits."""

    def replay(self, runs: Sequence[Run]) -> set[int]:
        """Return that no trial was stopped: none is compared with another."""
        return set()
