"""The command line of `segvote vote`."""

from pathlib import Path
from typing import Any

import click

from search.cli.options import example, make_console
from search.commands.vote.options import VoteOptions
from trainables.errors import UserError


@click.command("vote", epilog=example("segvote vote best.csv second.csv third.csv --out vote.csv"))
@click.argument("files", nargs=-1, metavar="A.csv B.csv …")
@click.option("--out", required=True, metavar="FILE", help="The CSV file to write.")
@click.option(
    "--scores", metavar="X,Y,…", help="The scores of the files, which rank them. [default: ranked in the given order]"
)
@click.option("--overwrite", is_flag=True, help="Replace --out, and the files of an earlier vote in --diff.")
@click.option(
    "--diff",
    metavar="DIR",
    help="A directory for pictures and counts of the pixels where the vote differs from the best file.",
)
@click.option(
    "--images", metavar="DIR", help="The directory of the photos to draw on; image_id is the path of a photo in it."
)
@click.option(
    "--classes",
    metavar="FILE",
    help="A COCO JSON or an ensemble.json with the names of the classes. [default: class ids]",
)
def vote_command(scores: str | None, files: tuple[str, ...], overwrite: bool, **paths: str | None) -> int:
    """Write the hard vote of submission files.

    They have the columns image_id and PredictionString, and are given with the best file first. The class with most
    votes wins each pixel. Among tied classes, the one wins that the best-ranked file predicts among them.
    """
    options = VoteOptions(
        files=tuple(map(Path, files)), scores=_numbers(scores), overwrite=overwrite, **_as_paths(paths)
    )
    from search.commands.vote.command import run_vote  # importing Numba takes a second, which --help does not need

    return run_vote(options, make_console())


def _as_paths(paths: dict[str, str | None]) -> dict[str, Any]:
    return {name: Path(text).expanduser() if text is not None else None for name, text in paths.items()}


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise UserError(f"--scores is {text!r}, but must be numbers separated by commas, as in 0.61,0.60") from None
