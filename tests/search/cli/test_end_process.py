"""How the process of a command ends: at once, but with what it printed and what was registered for its end."""

import os
import signal
import subprocess
import sys

import pytest

from search.cli.errors import INTERRUPTED

SCRIPT = """
import atexit, sys
from search.cli.errors import end_process

class Slow:
    def __del__(self):
        print("taken apart", flush=True)

atexit.register(lambda: print("registered"))
slow = Slow()
slow.itself = slow
print("said", end=" ")
print("told", file=sys.stderr)
end_process(int(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def printed_in_blocks(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.mark.parametrize(
    ("code", "printed"), [(0, "said registered\n"), (2, "said registered\n"), (INTERRUPTED, "said ")]
)
def test_what_was_printed_and_registered_is_there_and_objects_are_not_taken_apart(code, printed):
    run = subprocess.run([sys.executable, "-c", SCRIPT, str(code)], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (code, printed, "told\n")


def test_a_reader_that_is_gone_makes_no_traceback():
    script = "from search.cli.errors import end_process; input(); print('said'); end_process(0)"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], text=True, **pipes) as process:
        process.stdout.close()
        process.stdin.write("go on\n")
        process.stdin.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_command_whose_reader_is_gone_says_so_on_standard_error():
    script = (
        "from search.cli.errors import *; from search.run import *; input(); end_process(run_command(search_command))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, "--list-spaces"], text=True, **pipes) as process:
        process.stdout.close()
        process.stdin.write("go on\n")
        process.stdin.close()
        assert process.stderr.read().startswith("segvote: nobody reads the output any more, so the command stopped; ")
    assert process.returncode == 1


STOPPED = """
import signal, sys, time, weakref
import click
from search.cli.errors import run_command

class Thing:
    pass

def called_back(_):
    print("begun", flush=True)
    time.sleep(0.5)  # the signal comes here, where Python ignores what is raised

@click.command()
def wait():
    thing = Thing()
    reference = weakref.ref(thing, called_back)
    del thing
    time.sleep(300)

raise SystemExit(run_command(wait))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_command_says_how_to_go_on(number):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", STOPPED], text=True, **pipes) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        try:
            _, errors = process.communicate(timeout=100)
        finally:
            process.kill()
    assert errors.strip().startswith("segvote: stopped; finished work is kept")
    assert process.returncode == INTERRUPTED


def test_a_signal_that_a_shell_repeats_at_once_does_not_interrupt_what_the_first_one_led_to():
    script = """
import signal, sys
import click
from search.cli.errors import run_command

@click.command()
def wait():
    try:
        signal.raise_signal(signal.SIGHUP)
    finally:
        signal.raise_signal(signal.SIGHUP)
        print("cleared up")

raise SystemExit(run_command(wait, []))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.stdout, run.returncode) == ("cleared up\n", INTERRUPTED)


@pytest.mark.parametrize("output", ["Console().print", "print"])
@pytest.mark.parametrize("context", ["nullcontext()", "stop_signals('')"])
def test_ctrl_c_is_no_lack_of_a_reader_where_it_ends_the_reader_too(output, context):
    """As in `segvote search | tee log`, where the last lines come when tee has gone."""
    script = f"""
import signal, sys
from contextlib import nullcontext
import click
from rich.console import Console
from search.cli.errors import end_process, run_command
from search.tuning.stop_signals import stop_signals

@click.command()
def wait():
    try:
        input()
        with {context}:
            signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        {output}("Stopped. Go on with --resume.")
        sys.stdout.flush()

end_process(run_command(wait, []))
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], text=True, **pipes) as process:
        process.stdout.close()
        process.stdin.write("go on\n")
        process.stdin.close()
        assert process.stderr.read().startswith("segvote: stopped; ")
    assert process.returncode == INTERRUPTED


CLOSED_TERMINAL = """
import fcntl, sys, termios, time
from contextlib import nullcontext
import click
from search.cli.errors import run_command
from search.tuning.stop_signals import stop_signals

fcntl.ioctl(1, termios.TIOCSCTTY, 0)

@click.command()
def wait():
    try:
        with {context}:
            print("begun", flush=True)
            time.sleep(300)
    finally:
        print("cleared up", flush=True)
        open(sys.argv[1], "w").close()

raise SystemExit(run_command(wait, []))
"""


@pytest.mark.parametrize("context", ["nullcontext()", "stop_signals('')"])
def test_a_command_whose_terminal_is_closed_stops_as_by_ctrl_c(context, tmp_path):
    terminal, theirs = os.openpty()
    script, ended = CLOSED_TERMINAL.format(context=context), tmp_path / "ended"
    command = [sys.executable, "-c", script, str(ended)]
    outputs = {"stdout": theirs, "stderr": theirs, "start_new_session": True}
    with subprocess.Popen(command, **outputs) as process:
        os.close(theirs)
        try:
            assert os.read(terminal, 5) == b"begun"
            os.close(terminal)
            assert process.wait(timeout=100) == INTERRUPTED
        finally:
            process.kill()
    assert ended.exists()


def test_signs_that_an_output_cannot_encode_are_escaped():
    script = """
import click
from search.cli.errors import run_command
from search.cli.options import make_console

@click.command()
def show():
    make_console().print("0.4 ± 0.1 of 종이")
    make_console(as_json=True).print("Käse")

raise SystemExit(run_command(show))
"""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert run.stdout == "0.4 \\xb1 0.1 of \\uc885\\uc774\n"
    assert (run.stderr, run.returncode) == ("K\\xe4se\n", 0)


def test_a_process_without_outputs_ends_with_its_exit_code():
    script = "import sys; sys.stdout = sys.stderr = None; from search.cli.errors import end_process; end_process(0)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
