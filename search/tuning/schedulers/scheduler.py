"""Scheduler: what a study asks of its scheduler beyond Ray Tune's own interface."""

from collections.abc import Sequence

from ray.tune.schedulers import FIFOScheduler

from search.tuning.schedulers.ladder import Run


class Scheduler(FIFOScheduler):
    """Lets every trial run to its own end, as in grids, where a factor is compared with all else the same."""

    def __init__(self) -> None:
        super().__init__()
        self.paused: set[int] = set()
        """The numbers of the trials that are paused, and may go on later."""

    def replay(self, runs: Sequence[Run]) -> set[int]:
        """Take note of what earlier commands trained; return the numbers of the trials that are thereby stopped."""
        return set()
