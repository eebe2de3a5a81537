"""`segvote vote`: the hard vote over submission files, and what it changes against the best of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ensembling import hard_vote
from ensembling.submission import SubmissionError, SubmissionFile, SubmissionWriter
from search.bars import Bars
from search.vote_difference import Difference
from trainables.errors import UserError

NAMED = 5  # images in an error


@dataclass(frozen=True, kw_only=True)
class VoteOptions:
    """One `segvote vote` command."""

    files: tuple[Path, ...]
    out: Path
    overwrite: bool = False
    scores: str | None = None
    diff: Path | None = None
    images: Path | None = None
    classes: Path | None = None


def run_vote(options: VoteOptions, console: Console) -> int:
    """Votes and writes; returns the exit code. Nothing is written unless all files fit together."""
    if options.out.exists() and not options.overwrite:
        raise UserError(f"{options.out} exists: take another --out, or --overwrite it")
    if options.images and not options.diff:
        raise UserError("--images are for --diff: say where the overlays go")
    paths = ranked(options.files, options.scores)
    try:
        with console.status("Reading the files …"):
            files = [SubmissionFile(path) for path in paths]
            _check_same_images(files)
        difference = Difference(options.diff, options.images, options.classes) if options.diff else None
        unlike, pixels = np.zeros(len(files), np.int64), 0
        with SubmissionWriter(options.out) as rows, Bars(console) as bars:
            update = bars.add("vote", len(files[0].image_ids))
            for done, (image_id, ballots, winners) in enumerate(_votes(files), start=1):
                rows.add_ids(image_id, winners)
                unlike += (ballots != winners).sum(1)
                pixels += winners.size
                if difference:
                    difference.add(image_id, ballots[0], winners)
                update(done)
        if difference:
            difference.write()
    except SubmissionError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"{error.filename or options.out}: {error.strerror or error}") from error
    _show(console, files, unlike, pixels, difference)
    console.print(f"vote      {options.out}", soft_wrap=True, highlight=False)
    return 0


def ranked(files: Sequence[Path], scores: str | None) -> list[Path]:
    """The files, best first: as given, or by descending scores, equal ones as given. UserError for other scores."""
    if len(set(files)) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise UserError(f"{twice} is named twice: a file votes once")
    if scores is None:
        return list(files)
    try:
        values = [float(score) for score in scores.split(",")]
    except ValueError:
        raise UserError(f"--scores {scores}: give numbers with commas between, one for each file") from None
    if len(values) != len(files) or np.isnan(values).any():
        raise UserError(f"--scores {scores}: these are {len(values)} scores for {len(files)} files")
    return [files[place] for place in np.argsort(-np.array(values), kind="stable")]


def _check_same_images(files: Sequence[SubmissionFile]) -> None:
    first = files[0]
    for other in files[1:]:
        for has, lacks in ((first, other), (other, first)):
            missing = sorted(set(has.image_ids) - set(lacks.image_ids))
            if missing:
                more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
                raise UserError(
                    f"{lacks.path} lacks {len(missing)} images of {has.path}: {', '.join(missing[:NAMED])}{more}; "
                    "vote over files of the same images"
                )


def _votes(files: Sequence[SubmissionFile]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields each image's id, its ballots uint8 (files, n) and their vote uint8 (n,), in the first file's order."""
    for image_id in files[0].image_ids:
        rows = [file.ids(image_id) for file in files]
        for file, row in zip(files, rows):
            if row.size != rows[0].size:
                raise UserError(
                    f"image {image_id} has {row.size} class ids in {file.path}, but {rows[0].size} in {files[0].path}: "
                    "vote over maps of one size"
                )
        ballots = np.stack(rows)
        yield image_id, ballots, hard_vote(ballots, int(ballots.max()) + 1)


def _show(
    console: Console, files: Sequence[SubmissionFile], unlike: np.ndarray, pixels: int, difference: Difference | None
) -> None:
    table = Table(title=f"Vote on {len(files[0].image_ids)} images, {pixels} pixels")
    table.add_column("rank", justify="right")
    table.add_column("file")
    table.add_column("unlike the vote", justify="right")
    for rank, (file, count) in enumerate(zip(files, unlike), start=1):
        table.add_row(str(rank), str(file.path), f"{count / pixels:.2%}")
    console.print(table)
    if difference:
        console.print(difference.table())
