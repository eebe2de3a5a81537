"""Progress of long work and the time it still takes: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from search.report.console import say
from search.report.durations import duration

LINE_EVERY_S = 30


class Bars:
    """The bars of several pieces of work: `add` one, then call what it returns with how much of it is done."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._console = console

    def add(self, what: str, total: int) -> Callable[[int], None]:
        """Return a function to call with how much is done, in the units of `total`; its first call is the start."""
        task = self._progress.add_task(what, total=total)
        began, said, before = time.monotonic(), time.monotonic(), None

        def update(done: int) -> None:
            nonlocal said, before
            before = done if before is None else before
            self._progress.update(task, completed=done)
            now = time.monotonic()
            if not self._console.is_terminal and (now - said > LINE_EVERY_S or done == total):
                said = now
                left = (now - began) / max(1, done - before) * (total - done)
                rest = f", about {duration(left)} left" if done < total else f" in {duration(now - began)}"
                say(self._console, f"{what}: {done} of {total}{rest}")

        return update

    def __enter__(self) -> "Bars":
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._console.is_terminal:
            self._progress.stop()
