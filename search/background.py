"""Work that nobody should wait for, done by a thread or a process of its own."""

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue

NICENESS = 15  # of a process that nobody waits for: training goes first
Task = Callable[[], None]


def start_process(code: str, arguments: Sequence[str] = (), *, low_priority: bool = True) -> subprocess.Popen:
    """Start Python with this code in a process that prints nothing and does not get the user's Ctrl-C.

    With `low_priority` it yields the CPU to all other processes. Raises OSError where no process can be started.
    """
    nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-P", "-c", code, *arguments], start_new_session=True, **nothing)
    if low_priority:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def import_in_background(*modules: str) -> None:
    """Begin to import these modules in a thread, and return at once; a later import statement waits for the thread.

    An error of the import is not raised here, but by that statement, which tries again.
    """

    def import_all() -> None:
        with suppress(Exception):
            for module in modules:
                importlib.import_module(module)

    threading.Thread(target=import_all, name="imports", daemon=True).start()


class BackgroundThread:
    """Does what it is handed, one task after another in that order, while the caller goes on.

    The process does not wait for it when it ends: tasks must be such that a later command can make up for them. What a
    task raises is passed to `on_error`, and the next task begins.
    """

    def __init__(self, name: str, on_error: Callable[[Exception], None]) -> None:
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._on_error = on_error
        self._given_up = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def hand(self, task: Task) -> None:
        """Queue the task, which is done after all that were queued before it, and return at once."""
        self._tasks.put(task)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all tasks so far are done, and return True; False after `timeout` seconds, when they go on."""
        done = threading.Event()
        self.hand(done.set)
        return done.wait(timeout)

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until all tasks are done, and return True; or return False after `timeout` seconds.

        Tasks that have not begun by then never will; the one in progress is left to itself.
        """
        if not self.wait(timeout):
            self.give_up()
            return False
        return True

    def give_up(self) -> None:
        """Leave out all tasks that have not begun, and those that are handed in from now on."""
        self._given_up = True

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            if self._given_up:
                continue
            try:
                task()
            except Exception as error:  # whatever it is, the tasks after it are to be done
                self._on_error(error)
