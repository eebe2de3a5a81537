"""Ctrl-C and SIGTERM while trials run: the first stops the search in order, a later one at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ECHO_S = 1.0  # shells and wrappers send one Ctrl-C twice
AT_ONCE = 130
SHOW_CURSOR = "\x1b[?25h"


def leave(why: str, code: int) -> None:
    """End the process at once, with a message, and with the terminal's cursor shown, which a live table hides."""
    if sys.stdout.isatty():
        print(SHOW_CURSOR, end="", flush=True)
    print(f"\n{why}", file=sys.stderr, flush=True)
    os._exit(code)


def leave_after(seconds: float, why: str) -> None:
    """`leave` the process in `seconds` unless it has ended by then: who stops a command waits for it."""
    timer = threading.Timer(seconds, leave, (why, AT_ONCE))
    timer.daemon = True
    timer.start()


@contextmanager
def stop_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread at the first SIGINT or SIGTERM, and leave the process at the next.

    What is left when the process ends at once is what a kill leaves, which a resumed study brings to its end.
    """
    first: list[float] = []

    def stop(*_: Any) -> None:
        if not first:
            first.append(time.monotonic())
            raise KeyboardInterrupt
        if time.monotonic() - first[0] > ECHO_S:
            leave("segvote: stopped at once; every finished epoch is kept: go on by --resume", AT_ONCE)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if not first:  # once stopped, the process only ends: what comes then must not break its last steps
            for number, handler in before.items():
                signal.signal(number, handler)
