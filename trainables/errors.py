"""The error class for what a user can cause and mend, and those of it that are one machine's or a damaged file's."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """What is wrong, where (file, id or key), and what to do; the command line prints it alone and exits with 2."""


class NodeError(UserError):
    """What this machine lacks, and another or a mended one may have: a trial that meets it is tried again."""


class DamagedFileError(NodeError):
    """A file that SegVote wrote is not as it was written; the message names it and says what to do."""


def nearest(word: str, known: Iterable[str], *, most: int = 1) -> str:
    """Return " (did you mean NAME?)" with up to `most` of the known names that look like `word`; "" where none does."""
    names = list(dict.fromkeys(map(str, known)))
    near = difflib.get_close_matches(str(word), names, n=most, cutoff=0.6)
    return f" (did you mean {' or '.join(near)}?)" if near else ""
