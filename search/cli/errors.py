"""How a command is run, and how an error becomes one message and an exit code."""

import atexit
import io
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from search.signals import drop_closed_outputs, stopping_signals
from trainables.errors import UserError, printable
from trainables.hardware.full_disk import describe_full_disk
from trainables.hardware.home import ensure_home

HOW_TO_GO_ON = "finished work is kept: resume a study with --resume, and other commands by typing them again"
INTERRUPTED = 130  # the exit code that shells report for Ctrl-C
ECHO_S = 0.05  # within which a second signal is the first one again: a shell repeats that of a closed terminal
AGAIN_S = 0.1  # after which an interrupt that Python ignored is sent once more
# These are set before the libraries are imported, and Ray's workers inherit them.
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def run_command(command: click.Command, arguments: list[str] | None = None, prog_name: str = "segvote") -> int:
    """Run a command and return its exit code: 0 (success), 1 (no result), 2 (an error of the user), 130 (Ctrl-C)."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    interrupts = _note_interrupts()
    _print_whatever_comes()
    try:
        ensure_home()
        typed = sys.argv[1:] if arguments is None else arguments
        check_values_given(command, typed)
        return command.main(args=list(typed), prog_name=prog_name, standalone_mode=False, obj=typed) or 0
    except UserError as error:
        click.echo(f"segvote: {printable(str(error))}", err=True)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _stopped()
    except click.ClickException as error:
        error.show()
    except (SystemExit, Exception) as error:
        if interrupts:  # Ctrl-C may lead to any: imports raise RuntimeError, and it ends the reader in `| tee log`, too
            return _stopped()
        return _broken_off(error)
    return 2


def _broken_off(error: BaseException) -> int:
    """Say why the system ended a command, and return the exit code. Any other error is raised again: it is a fault."""
    if isinstance(error, SystemExit):  # rich raises it where a pipe is closed, as by `| head`
        with suppress(OSError):
            click.echo(f"segvote: nobody reads the output any more, so the command stopped; {HOW_TO_GO_ON}", err=True)
        return error.code
    if isinstance(error, OSError):  # such as a full disk or a directory without write permission
        click.echo(f"segvote: {describe_full_disk(error, []) or _told(error)}; {HOW_TO_GO_ON}", err=True)
        return 2
    raise error


def _print_whatever_comes() -> None:
    """Let the outputs write characters that their encoding lacks as escapes: none of them is to end a search."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def check_values_given(command: click.Command | None, arguments: Sequence[str]) -> None:
    """Raise UserError where a flag that needs a value is followed by another flag, which click would take for it."""
    while isinstance(command, click.Group) and arguments:
        command, arguments = command.commands.get(arguments[0]), arguments[1:]
    options = [option for option in getattr(command, "params", ()) if isinstance(option, click.Option)]
    known = {name for option in options for name in (*option.opts, *option.secondary_opts)}
    need_value = {name: option for option in options if not option.is_flag for name in option.opts}
    for flag, following in itertools.pairwise(arguments):
        if flag in need_value and following.partition("=")[0] in known:
            example = need_value[flag].metavar or "VALUE"
            raise UserError(f"{flag} needs a value, but {following} follows it: write {flag} {example.rstrip('…')}")


def _told(error: OSError) -> str:
    """Return a sentence on an error of the system: which path it is about, and what to do."""
    if not isinstance(error.filename, (str, bytes)):
        return printable(str(error))
    what = f"{os.fsdecode(error.filename)} cannot be used ({error.strerror})"
    return printable(f"{what}: check that path and its permissions, or give another one")


def end_process(code: int) -> NoReturn:
    """End the process with this exit code, without taking all of Python's objects apart, which takes seconds.

    What libraries have registered for the end is done, such as ending Ray's processes, unless somebody stopped the
    command: it took 20 seconds on a busy machine, and who stops a command waits for it.
    """
    if code != INTERRUPTED:
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError):  # as where `head` has read enough of what was printed
            if stream:  # a process that was started without an output has None
                stream.flush()
    os._exit(code)


def _note_interrupts() -> list[float]:
    """Return a list of the moments at which somebody stopped the command; KeyboardInterrupt is raised after each.

    It is no threading.Event, whose lock a signal would wait for that comes while the one before it sets the event.
    """
    interrupts: list[float] = []

    def interrupt(*_: Any) -> None:
        before, now = interrupts[-1:], time.monotonic()
        interrupts.append(now)
        drop_closed_outputs()
        if not before or now - before[0] > ECHO_S:  # a repeated one would end the last message with a traceback
            raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number in stopping_signals():
            signal.signal(number, interrupt)
        sys.unraisablehook = _hear_again
    return interrupts


def _hear_again(unraisable: Any) -> None:
    """Interrupt the main thread once more where Python ignored an interrupt, as in a callback of an import."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        main = threading.main_thread().ident
        again = threading.Timer(AGAIN_S, signal.pthread_kill, (main, signal.SIGINT))  # not within this call
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(unraisable)


def _stopped() -> int:
    with suppress(OSError):  # where the terminal is closed
        click.echo(f"segvote: stopped; {HOW_TO_GO_ON}", err=True)
    return INTERRUPTED
