"""Ctrl-C, SIGTERM and SIGHUP while trials run: the first stops the search in order, a later one at once."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from search.signals import at_return, stopping_signals

ECHO_S = 1.0  # shells and wrappers send one Ctrl-C twice
WITHIN_S = 7.0  # of the first signal, whatever Ray, MLflow or the disk keep the process waiting for
GRACE_S = 1.0  # for the message, after WITHIN_S
AT_ONCE = 130
SHOW_CURSOR = "\x1b[?25h"


def leave(why: str, code: int) -> None:
    """End the process at once, with a message, and with the terminal's cursor shown, which a live table hides."""
    with suppress(OSError):  # where the terminal is closed
        if sys.stdout.isatty():
            print(SHOW_CURSOR, end="", flush=True)
        print(f"\n{why}", file=sys.stderr, flush=True)
    os._exit(code)


@contextmanager
def stop_signals(
    how_to_resume: str,
    *,
    within_s: float = WITHIN_S,
    unless: Callable[[], bool] = lambda: False,
    begun: threading.Event | None = None,
) -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread at the first stopping signal, and leave the process at the next.

    Where the process has not ended `within_s` seconds after the first, it is left, too, unless `unless` says at the
    first that it is to take its time. What is left when the process ends at once is what a kill leaves, which a
    resumed study brings to its end. `begun` is set at the first signal.
    """
    signals, first, before, over = stopping_signals(), [], {}, threading.Event()

    def arm() -> None:
        """Have the system end the process where C code that waits lets no other thread of Python's run."""
        signal.setitimer(signal.ITIMER_REAL, within_s + GRACE_S)

    def stop(number: int, frame: Any) -> None:
        if not first:
            first.append(time.monotonic())
            if begun:
                begun.set()
            if not unless():
                arm()
                if callable(before.get(number)):
                    before[number](number, frame)  # that of the command, which is to know that somebody stopped it
            raise KeyboardInterrupt
        if time.monotonic() - first[0] > ECHO_S:
            leave(f"segvote: stopped at once. {how_to_resume}", AT_ONCE)

    def wait_for_signal() -> None:
        number = noted.recv(1)[0]
        if number in signals and not unless():
            arm()
            if number == signal.SIGTERM and not sys.stderr.isatty():
                # A batch system may send it to Ray's processes, too, and Ray then ends this one without a word.
                with suppress(OSError):
                    print(f"\nsegvote: SIGTERM stops the command. {how_to_resume}", file=sys.stderr, flush=True)
            if not over.wait(within_s):
                leave(f"segvote: stopped, before all of its last steps were done. {how_to_resume}", AT_ONCE)

    def disarm() -> None:
        over.set()
        waiting.join(GRACE_S)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(wakeup_before)
        for one in (noted, noting):
            one.close()

    # The main thread sees a signal only when it comes back from C code, which may wait; this thread is woken at once.
    noted, noting = socket.socketpair()
    noting.setblocking(False)
    wakeup_before = signal.set_wakeup_fd(noting.fileno(), warn_on_full_buffer=False)
    waiting = threading.Thread(target=wait_for_signal, name="stop", daemon=True)
    waiting.start()
    for number in signals:
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        if not first:  # once stopped, the process only ends: what comes then must not break its last steps
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup_before)
            noting.send(b"\0")  # ends the thread
        else:  # the system goes on to write to the sockets
            at_return.append(disarm)
