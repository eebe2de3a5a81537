"""Ctrl-C and SIGTERM: the first stops in order, a later one at once, and none ends in a traceback."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from search.tuning.stop_signals import stop_signals

SLOW = """
    import sys, time
    from search.tuning.stop_signals import stop_signals
    with stop_signals():
        try:
            print("begun", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            pass
    print("stopping", flush=True)
    time.sleep(600)  # the last steps of a search
"""


HANGS = """
    import threading
    from search.tuning.stop_signals import leave_after
    leave_after(0.5, "stopped: go on by --resume")
    threading.Event().wait()
"""


def test_a_process_whose_last_steps_hang_is_left():
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(HANGS)], capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (130, "\nstopped: go on by --resume\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_an_interrupt(number):
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        with pytest.raises(KeyboardInterrupt), stop_signals():
            signal.raise_signal(number)
    finally:
        for one, handler in zip((signal.SIGINT, signal.SIGTERM), before):
            signal.signal(one, handler)


def test_without_a_signal_the_handlers_are_as_before():
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with stop_signals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_during_the_last_steps_ends_the_process_without_a_traceback():
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOW)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # the same Ctrl-C, sent on by a wrapper
    assert process.stdout.readline() == "stopping\n"
    while process.poll() is None:
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "stopped at once; every finished epoch is kept" in errors
    assert "Traceback" not in errors
