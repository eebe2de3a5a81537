"""ImportMeanwhile imports what is needed after the last trial while the trials train."""

from collections.abc import Sequence
from typing import Any

from ray.tune import Callback

from search.background import import_in_background


class ImportMeanwhile(Callback):
    """Begins to import `modules` in a thread when a trial reports its first epoch: before, trials wait for the CPU."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = list(modules)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if self._modules:
            import_in_background(*self._modules)
            self._modules = []
