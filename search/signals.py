"""The signals that stop a command: Ctrl-C, a batch system's or container's end, and a terminal that is closed."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

at_return: list[Callable[[], None]] = []
"""Functions that are called when a command has returned to a process that goes on, such as a notebook's. They switch
off what would have ended the process."""


def stopping_signals() -> list[signal.Signals]:
    """Return SIGINT, SIGTERM and SIGHUP; without SIGHUP where it is ignored, as nohup has it."""
    hears_hangup = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hears_hangup else [])]


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Return a context that restores, at its end, the handlers of the signals that stop a command.

    What a signal has set off by then, such as a timer, does not end the process any more.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    hook = sys.unraisablehook
    try:
        yield
    finally:
        sys.unraisablehook = hook
        while at_return:
            at_return.pop()()
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                if handler is not None:  # None is one that was not set by Python
                    signal.signal(number, handler)


def drop_closed_outputs() -> None:
    """Let the outputs that are a closed terminal lead nowhere: each print, also of what ends a table, would raise
    OSError.
    """
    for output in (1, 2):
        try:
            os.write(output, b"")
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, output)
            os.close(nowhere)
