"""The errors that a user can cause and correct, and those that come from one machine or from a damaged file."""

import difflib
import unicodedata
from collections.abc import Iterable


class UserError(ValueError):
    """The error for input that the user can correct.

    Its message says what is wrong, where (file, id or key), and what to do; the command line prints it and exits with
    code 2.
    """


class NodeError(UserError):
    """The error for something that this machine lacks and that another machine, or this one after a repair, may have.

    A trial that raises it is tried again.
    """


class DamagedFileError(NodeError):
    """A file that SegVote wrote is not as it was written; the message names it and says what to do."""


def nearest(word: str, known: Iterable[str], *, most: int = 1) -> str:
    """Return " (did you mean NAME?)" with up to `most` of the known names that look like `word`; "" where none does."""
    names = list(dict.fromkeys(map(str, known)))
    near = difflib.get_close_matches(str(word), names, n=most, cutoff=0.6)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def printable(text: str) -> str:
    """Return a text that can be shown, whatever names of files or classes are in it.

    Control characters but line breaks, which would move the cursor or do worse, and what UTF-8 cannot encode, as half a
    surrogate pair, are written as escapes.
    """
    shown = (
        one if one == "\n" or unicodedata.category(one) != "Cc" else one.encode("unicode_escape").decode()
        for one in text
    )
    return "".join(shown).encode("utf-8", "backslashreplace").decode()


def one_line(error: BaseException) -> str:
    """Return the first line of the error's message, shortened to 200 characters; its type's name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
