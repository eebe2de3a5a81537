"""`segvote vote` on the command line: flags to VoteOptions."""

from pathlib import Path
from typing import Any

import click

from search.cli.options import example, make_console
from search.vote.options import VoteOptions
from trainables.errors import UserError


@click.command("vote", epilog=example("segvote vote best.csv second.csv third.csv --out vote.csv"))
@click.argument("files", nargs=-1, metavar="A.csv B.csv …")
@click.option("--out", required=True, metavar="FILE", help="The vote's CSV.")
@click.option("--scores", metavar="X,Y,…", help="One a file: the higher, the better its rank. [default: as given]")
@click.option("--overwrite", is_flag=True, help="Replace --out, and what an earlier vote left in --diff.")
@click.option(
    "--diff", metavar="DIR", help="Pictures and counts of the pixels in which the vote differs from the best."
)
@click.option("--images", metavar="DIR", help="Photos to draw them on; image_id is the file's name below it.")
@click.option("--classes", metavar="FILE", help="Names for them: a COCO JSON or an ensemble.json. [default: class ids]")
def vote_command(scores: str | None, files: tuple[str, ...], overwrite: bool, **paths: str | None) -> int:
    """Take the hard vote of submission files (image_id,PredictionString), best first.

    The class with most votes wins each pixel; among tied classes, the one that the best-ranked file has among them.
    """
    options = VoteOptions(
        files=tuple(map(Path, files)), scores=_numbers(scores), overwrite=overwrite, **_as_paths(paths)
    )
    from search.vote.command import run_vote  # Numba takes a second to import, which --help need not wait for

    return run_vote(options, make_console())


def _as_paths(paths: dict[str, str | None]) -> dict[str, Any]:
    return {name: Path(text).expanduser() if text is not None else None for name, text in paths.items()}


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise UserError(f"--scores is {text!r}, but must be numbers with commas between, as 0.61,0.60") from None
