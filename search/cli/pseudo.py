"""The command line of `segvote pseudo`."""

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
@click.option("--out", required=True, metavar="P", help="The data set to write, for `segvote search --pseudo P`.")
@click.option(
    "--agree",
    type=click.IntRange(1),
    metavar="N",
    help="How many votes the class of a pixel needs; pixels with fewer are ignored. [default: two thirds]",
)
@click.option(
    "--least",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="The least share of labelled pixels of a photo; photos with less are dropped.",
)
@click.option(
    "--member", metavar="RUN", help="Use the classes of this member instead of the vote's, where enough members agree."
)
def pseudo_command(agree: int | None, least: float, member: str | None, **flags: Any) -> int:
    """Label photos by an ensemble's vote, as a data set to train on."""
    flags = found(flags)
    from search.commands.predict.command import PredictOptions
    from search.commands.predict.pseudo import run_pseudo

    return run_pseudo(PredictOptions(**flags), agree, least, member, make_console())
