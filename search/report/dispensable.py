"""Steps that a command can do without, such as plots: if one fails, this is shown and the command goes on."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow.exceptions import MlflowException
from rich.console import Console

from search.report.console import say
from search.tracking.store import why_no_answer
from trainables.errors import UserError, one_line

ERRORS = "errors.txt"  # the tracebacks of dispensable steps that failed, in the directory of the result


@contextmanager
def dispensable(failed: str, again: str, directory: Path, console: Console) -> Iterator[None]:
    """Return a context in which any error is shown and ends the block alone: the vote is kept without the block.

    Args:
        failed: What to say where it fails.
        again: The command that does the same again.
        directory: Where errors.txt keeps the traceback of an error that neither the user nor the machine has made.
        console: Where to print.
    """
    try:
        yield
    except (UserError, OSError, MlflowException) as error:
        reason = why_no_answer(error) if isinstance(error, MlflowException) else error
        say(console, f"{failed} ({reason}). The vote is not affected; try again by\n    {again}", style="yellow")
    except Exception as error:
        where = _keep_traceback(directory / ERRORS, console)
        say(
            console,
            f"{failed}, because of a fault in SegVote or in a library ({type(error).__name__}: {one_line(error)}); "
            f"{where}. The vote is not affected; when the fault is mended, try again by\n    {again}",
            style="yellow",
        )


def _keep_traceback(errors: Path, console: Console) -> str:
    """Append the traceback of the error that is being handled to a file, and return in words where it is."""
    try:
        with errors.open("a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
    except OSError:
        console.print(traceback.format_exc(), markup=False, highlight=False)
        return "its traceback is above"
    return f"its traceback is in {errors}"
