"""The signals that stop a command: Ctrl-C, a batch system's or container's end, and a terminal that is closed."""

import signal


def stopping_signals() -> list[signal.Signals]:
    """Return SIGINT, SIGTERM and SIGHUP; without SIGHUP where it is ignored, as nohup has it."""
    hears_hangup = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hears_hangup else [])]
