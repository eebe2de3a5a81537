"""`segvote pseudo` on the command line."""

from typing import Any

import click

from search.cli.options import TakesLists, example, make_console, with_options
from search.cli.predict import PREDICTS, found


@click.command(
    "pseudo",
    cls=TakesLists,
    epilog=example("segvote pseudo --ensemble monday --images more_photos --out pseudo_labels --agree 2"),
)
@with_options(PREDICTS)
@click.option("--out", required=True, metavar="P", help="The data set to write; `segvote search --pseudo P` takes it.")
@click.option(
    "--agree",
    type=click.IntRange(1),
    metavar="N",
    help="Votes that a pixel's class must have; others are ignored. [default: two thirds of all]",
)
@click.option(
    "--least",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="Share of a photo's pixels that must be left, else the photo is dropped.",
)
@click.option("--member", metavar="RUN", help="What this member says instead of the vote, where enough others agree.")
def pseudo_command(agree: int | None, least: float, member: str | None, **flags: Any) -> int:
    """Label photos by an ensemble's vote, as a data set to train on."""
    flags = found(flags)
    from search.predict.command import PredictOptions
    from search.predict.pseudo import run_pseudo

    return run_pseudo(PredictOptions(**flags), agree, least, member, make_console())
