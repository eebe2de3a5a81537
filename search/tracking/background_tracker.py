"""A running study is logged to MLflow by a thread of its own, so that nothing waits for MLflow's answers."""

import time
from collections.abc import Callable
from typing import Any

from search.background import BackgroundThread
from search.screen.gpus import Gpu
from search.tracking.store import is_refusal, why_no_answer
from search.tracking.tracker import Tracker
from trainables.errors import UserError, one_line
from trainables.trial.running_epoch import RunningEpoch

PAUSE_S = 60  # after MLflow did not answer: all that waits would time out, one call after another


class BackgroundTracker:
    """A thread that logs to MLflow and alone uses the tracker, from the first trial until `finish` has returned.

    What MLflow refuses ends neither a trial nor the study: the trial's number goes to `behind`, and is made up for at
    its next event or at the study's end.
    """

    def __init__(self, tracker: Tracker, warn: Callable[[str], None]) -> None:
        self.behind: set[int] = set()
        self._tracker, self._warn = tracker, warn
        self._thread = BackgroundThread("mlflow", lambda error: warn(f"MLflow lacks a part ({one_line(error)})"))
        self._params: dict[int, dict[str, Any]] = {}
        self._untold: dict[int, list[dict[str, Any]]] = {}
        self._running: tuple[dict[int, RunningEpoch], list[Gpu]] | None = None
        self._silent_until = 0.0

    def begin(self, number: int, params: dict[str, Any], records: list[dict[str, Any]]) -> None:
        """Open the trial's run, and bring it to the epochs that earlier commands trained."""
        self.behind.add(number)
        self._params[number] = params
        self.epochs(number, records)

    def epochs(self, number: int, records: list[dict[str, Any]]) -> None:
        """Bring the trial's run to all its epochs so far.

        Where the thread is slower than the trial, it logs several epochs at once, so that they do not pile up.
        """
        self._untold[number] = records
        self._hand(number, lambda: self._tell_epochs(number))

    def end(self, number: int, log: Callable[[], None], study_metrics: Callable[[], dict[str, float]]) -> None:
        """Bring the trial's run to its end by `log`, and then log the study's metrics, made by the thread as well."""

        def tell() -> None:
            log()
            self._untold.pop(number, None)
            self.behind.discard(number)
            self._tracker.log_study(study_metrics())

        self._hand(number, tell)

    def running(self, epochs: dict[int, RunningEpoch], gpus: list[Gpu]) -> None:
        """Replace what is said of the epochs in progress, unless MLflow has not answered lately."""
        self._running = epochs, gpus
        self._thread.hand(self._tell_running)

    def pause(self, number: int) -> None:
        """Let MLflow show that the trial is paused and may go on."""

        def tell() -> None:
            self._tell_epochs(number)
            self._tracker.pause_trial(number)

        self._hand(number, tell)

    def wait(self, timeout: float) -> bool:
        """Wait until all that was told so far is logged, and return True; False after `timeout` seconds."""
        return self._thread.wait(timeout)

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until everything is logged to MLflow, and return True; or return False after `timeout` seconds."""
        return self._thread.finish(timeout)

    def give_up(self) -> None:
        """Log nothing more to MLflow, except for what is on its way."""
        self._thread.give_up()

    def _hand(self, number: int, tell: Callable[[], None]) -> None:
        self._thread.hand(lambda: self._try(number, tell))

    def _tell_epochs(self, number: int) -> None:
        records = self._untold.pop(number, None)
        if records is None:
            return  # it was logged together with an epoch before
        if number in self.behind:
            self._tracker.start_trial(number, self._params[number])
        self._tracker.log_epochs(number, records)
        self.behind.discard(number)

    def _tell_running(self) -> None:
        told, self._running = self._running, None
        if told is None or time.monotonic() < self._silent_until:
            return
        try:
            self._tracker.log_running(told[0], [str(gpu) for gpu in told[1]])
        except Exception:  # the next one replaces it
            self._silent_until = time.monotonic() + PAUSE_S

    def _try(self, number: int, tell: Callable[[], None]) -> None:
        """Call `tell`, which logs a trial to MLflow; where it fails, the trial is behind.

        Where MLflow does not answer, it is left alone for a while; where it refuses what is logged, other trials are
        logged all the same.
        """
        if time.monotonic() < self._silent_until:
            self.behind.add(number)
            return
        try:
            tell()
        except Exception as error:  # MLflow raises what its many stores raise
            self.behind.add(number)
            if is_refusal(error) or isinstance(error, UserError):
                self._warn(f"trial {number}: MLflow was not told a part of it ({one_line(error)})")
                return
            self._silent_until = time.monotonic() + PAUSE_S
            self._warn(f"trial {number}: MLflow lacks a part of it, made up for later ({why_no_answer(error)})")
