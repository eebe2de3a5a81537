"""ReportRefresh writes the report of a running study now and then, in a process of its own: no trial waits for it."""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ray.tune import Callback

from search.background import start_process
from search.study.settings import StudySettings

EVERY_S = 600  # between two reports of a running study
PROGRAM = "import sys; from search.cli import main; sys.exit(main(sys.argv[1:]))"


def report_flags(name: str, settings: StudySettings) -> list[str]:
    """Return the arguments of `segvote` that write the report of the study."""
    flags = ["report", "--study", name, "--runs-dir", str(settings.runs_dir), "--cache-dir", str(settings.cache_dir)]
    return flags + (["--tracking-uri", settings.tracking_uri] if settings.tracking_uri else [])


def start_report(flags: Sequence[str]) -> subprocess.Popen:
    """Start `segvote` with these arguments."""
    return start_process(PROGRAM, flags)


class ReportRefresh(Callback):
    """Writes the report when a trial ends, unless one was begun less than `EVERY_S` ago or is being written.

    `start` starts the process, `clock` returns seconds; tests hand in others.
    """

    def __init__(
        self,
        flags: Sequence[str],
        *,
        start: Callable[[Sequence[str]], Any] = start_report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flags, self._start, self._clock = list(flags), start, clock
        self._process: Any = None
        self._begun = clock()  # the first trials say little: the first report may wait as long as any other

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles callbacks into its own snapshots, which are never read

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if self._clock() - self._begun < EVERY_S or (self._process and self._process.poll() is None):
            return
        self._begun = self._clock()
        with suppress(OSError):  # no process can be started now: the next trial's end tries again
            self._process = self._start(self._flags)

    def stop(self) -> None:
        """End a report that is being written, so that it cannot replace one that is written after it."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
