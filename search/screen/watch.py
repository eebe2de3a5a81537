"""Reads now and then how far the epochs in progress are, for the screen and for MLflow."""

import threading
from collections.abc import Callable
from typing import Any

from search.screen.gpus import Gpu
from search.screen.screen import Screen
from trainables.trial.running_epoch import RunningEpoch

LOOK_EVERY_S = 1.0
TELL_EVERY = 15  # looks


class EpochWatch:
    """A context in which a thread reads the RunningEpoch of each trial that trains, by `read` with its number.

    The screen shows them. Less often, `tell` is called with those of all trials by number, and with the GPUs.
    """

    def __init__(
        self,
        screen: Screen,
        read: Callable[[int], RunningEpoch | None],
        tell: Callable[[dict[int, RunningEpoch], list[Gpu]], None],
    ) -> None:
        self._screen, self._read, self._tell = screen, read, tell
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="epochs", daemon=True)

    def __enter__(self) -> "EpochWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()

    def _watch(self) -> None:
        looks = 0
        while not self._over.wait(LOOK_EVERY_S):
            progress = self._screen.progress
            progress.look(self._read)
            self._screen.within_epochs()
            looks += 1
            if looks % TELL_EVERY == 0:
                epochs = {trial.number: trial.running for trial in progress.running if trial.running}
                self._tell(epochs, self._screen.gpus())
