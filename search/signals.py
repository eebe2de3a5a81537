"""The signals that stop a command: Ctrl-C, a batch system's or container's end, and a terminal that is closed."""

import os
import signal


def stopping_signals() -> list[signal.Signals]:
    """Return SIGINT, SIGTERM and SIGHUP; without SIGHUP where it is ignored, as nohup has it."""
    hears_hangup = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hears_hangup else [])]


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
