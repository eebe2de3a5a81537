"""`segvote vote`: the hard vote over submission files of any program; the best member decides ties."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from ensembling import hard_vote
from ensembling.predict.submission import SubmissionError, SubmissionFile, SubmissionWriter
from search.commands.vote.changes import check_places, read_class_names, show_changes, write_changes
from search.commands.vote.options import VoteOptions
from search.report.console import PlainTable, say
from trainables.errors import UserError

EXAMPLES = 3  # images that a message names

Track = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass
class Tally:
    """Counts over the images that were voted on: images, pixels, and the pixels in which each member differs from the
    vote.
    """

    changed: np.ndarray  # int64 (members,), by rank
    images: int = 0
    pixels: int = 0
    highest: int = 0  # the highest class id that was voted for

    def add(self, votes: np.ndarray, voted: np.ndarray) -> None:
        self.changed += (votes != voted).sum(axis=1)
        self.images += 1
        self.pixels += voted.size
        self.highest = max(self.highest, int(votes.max()))


def run_vote(options: VoteOptions, console: Console) -> int:
    """Take the vote, write it, show its members, and return the exit code."""
    bar = partial(track, console=console, transient=True, disable=not console.is_terminal)
    with _as_user_errors(), ExitStack() as stack:
        class_names = read_class_names(options.classes) if options.classes else None
        given = [stack.enter_context(SubmissionFile(path)) for path in bar(options.files, "Reading")]
        check_same_images(given)
        if options.diff:
            check_places(given[0].image_ids, options.images)
        ranked = [given[index] for index in options.ranking]
        tally = _vote(options, ranked, given[0], class_names, bar)
        _show(console, options, tally)
        if options.diff:
            names = class_names or [str(class_id) for class_id in range(tally.highest + 1)]
            voted = stack.enter_context(SubmissionFile(options.out))
            changes = write_changes(ranked[0], voted, names, options.diff, options.images, bar)
            show_changes(console, changes, names, options.diff)
    return 0


@contextmanager
def _as_user_errors() -> Iterator[None]:
    try:
        yield
    except SubmissionError as error:
        raise UserError(str(error)) from error
    except OSError as error:  # no permission, a full disk
        where = f"{error.filename}: " if error.filename else ""
        raise UserError(f"{where}{error.strerror or error}") from error


def check_same_images(files: Sequence[SubmissionFile]) -> None:
    """Raise UserError unless all files have the images of the first one.

    The message names the files and the images that they lack.
    """
    first = files[0]
    lacks = []
    for file in files[1:]:
        for one, other in ((file, first), (first, file)):
            missing = [image_id for image_id in other.image_ids if image_id not in one]
            if missing:
                lacks.append(f"{one.path} lacks {_some(missing)} of {other.path}")
    if lacks:
        raise UserError(f"{'; '.join(lacks)}: the files must have the same images")


def _some(image_ids: Sequence[str]) -> str:
    more = ", …" if len(image_ids) > EXAMPLES else ""
    plural = "s" if len(image_ids) > 1 else ""
    return f"{len(image_ids)} image{plural} ({', '.join(map(repr, image_ids[:EXAMPLES]))}{more})"


def _vote(
    options: VoteOptions,
    ranked: Sequence[SubmissionFile],
    first: SubmissionFile,
    class_names: Sequence[str] | None,
    bar: Track,
) -> Tally:
    tally = Tally(np.zeros(len(ranked), np.int64))
    with SubmissionWriter(options.out) as writer:
        for image_id in bar(first.image_ids, "Voting"):
            votes = _votes(ranked, first, image_id)
            if options.diff:
                _check_drawable(votes, image_id, ranked, class_names)
            voted = hard_vote(votes, int(votes.max()) + 1)
            writer.add_ids(image_id, voted)
            tally.add(votes, voted)
    return tally


def _votes(ranked: Sequence[SubmissionFile], first: SubmissionFile, image_id: str) -> np.ndarray:
    """Return the members' class ids of an image: uint8 (members, n)."""
    rows = {file.path: file.ids(image_id) for file in ranked}
    expected = rows[first.path].size
    for path, ids in rows.items():
        if ids.size != expected:
            raise UserError(
                f"{path}: image {image_id!r} has {ids.size} class ids, but {expected} in {first.path}: write the "
                "shorter one again, or both at one size"
            )
    return np.stack(list(rows.values()))


def _check_drawable(
    votes: np.ndarray, image_id: str, ranked: Sequence[SubmissionFile], class_names: Sequence[str] | None
) -> None:
    pixels = votes.shape[1]
    if isqrt(pixels) ** 2 != pixels:
        raise UserError(
            f"image {image_id!r} has {pixels} class ids, which is no square number, so --diff cannot draw it: "
            "leave --diff out"
        )
    if class_names is not None and votes.max() >= len(class_names):
        file = ranked[int(votes.max(axis=1).argmax())]
        raise UserError(
            f"{file.path}: image {image_id!r} has class id {votes.max()}, but --classes names {len(class_names)} "
            f"classes, 0 to {len(class_names) - 1}: give a file with all classes"
        )


def _show(console: Console, options: VoteOptions, tally: Tally) -> None:
    score = [">score"] if options.scores else []
    table = PlainTable("Members by rank", ">rank", "file", *score, ">differs from the vote")
    for rank, index in enumerate(options.ranking):
        score = [f"{options.scores[index]:g}"] if options.scores else []
        share = f"{tally.changed[rank] / tally.pixels:.2%}"
        table.add_row(str(rank + 1), str(options.files[index]), *score, share)
    console.print(table)
    if len(options.files) == 2:
        say(console, "The vote of two members equals the better one, because the better one decides every tie.")
    written = f"vote  {options.out}: {tally.images:,} images, {tally.pixels:,} pixels"
    say(console, written)
