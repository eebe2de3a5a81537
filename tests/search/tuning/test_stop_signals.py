"""Ctrl-C, SIGTERM and SIGHUP: the first stops in order, a later one at once, and none ends in a traceback."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from search.signals import handlers_kept
from search.tuning.stop_signals import stop_signals

SLOW = """
    import sys, time
    from search.tuning.stop_signals import stop_signals
    with stop_signals("Go on by --resume.", unless=lambda: True):
        try:
            print("begun", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            pass
    print("stopping", flush=True)
    time.sleep(600)  # the last steps of a search
"""


IN_C_CODE = """
    import hashlib
    from search.tuning.stop_signals import stop_signals
    with stop_signals("Go on by --resume.", within_s=0.5, unless=lambda: UNLESS):
        print("begun", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", SLOWNESS)  # sees no signal before its end
    print("never seen")
"""


def test_a_process_that_does_not_come_to_its_end_is_left():
    code = textwrap.dedent(IN_C_CODE).replace("UNLESS", "False").replace("SLOWNESS", "10**9")
    assert _terminated(code) == (
        130,
        "",
        "\nsegvote: SIGTERM stops the command. Go on by --resume.\n"
        "\nsegvote: stopped, before all of its last steps were done. Go on by --resume.\n",
    )


def test_it_takes_its_time_where_there_is_a_reason():
    code = textwrap.dedent(IN_C_CODE).replace("UNLESS", "True").replace("SLOWNESS", "10**7")
    returned, _, errors = _terminated(code)
    assert returned == -signal.SIGINT or "KeyboardInterrupt" in errors  # as the first signal alone ends it
    assert "before all of its last steps" not in errors


HOLDS_ALL_THREADS = """
    from search.tuning.stop_signals import stop_signals
    with stop_signals("Go on by --resume.", within_s=0.5):
        try:
            print("begun", flush=True)
            while True:
                pass
        except KeyboardInterrupt:
            sum(range(10**12))  # no other thread runs meanwhile
"""


def test_it_ends_where_no_other_thread_can_end_it():
    assert _terminated(textwrap.dedent(HOLDS_ALL_THREADS))[0] == -signal.SIGALRM


def _terminated(code):
    """What a process returns and says that gets SIGTERM once it has begun."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)  # so that it is in the C code
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=300)
    return process.returncode, out, errors


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_an_interrupt(number):
    before, begun = [signal.getsignal(one) for one in SIGNALS], threading.Event()
    try:
        with pytest.raises(KeyboardInterrupt), stop_signals("", unless=lambda: True, begun=begun):
            signal.raise_signal(number)
        assert begun.is_set()
    finally:
        signal.set_wakeup_fd(-1)
        for one, handler in zip(SIGNALS, before):
            signal.signal(one, handler)


def test_a_process_that_goes_on_after_a_command_that_was_stopped_is_not_ended():
    with pytest.raises(KeyboardInterrupt), handlers_kept(), stop_signals(""):
        signal.raise_signal(signal.SIGINT)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.set_wakeup_fd(-1) == -1
    assert "stop" not in {thread.name for thread in threading.enumerate()}


def test_without_a_signal_the_handlers_are_as_before():
    before = [signal.getsignal(one) for one in SIGNALS]
    with stop_signals("Go on by --resume."):
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_a_closed_terminal_stops_nothing_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals("Go on by --resume."):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


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
    assert "stopped at once. Go on by --resume." in errors
    assert "Traceback" not in errors
