"""The command line of `segvote foresee`."""

from pathlib import Path
from typing import Any

import click

from search.cli.options import TakesLists, example, make_console, with_options
from search.cli.predict import IMAGES, PREDICTS, found, found_places
from trainables.errors import UserError


@click.command(
    "foresee",
    cls=TakesLists,
    epilog=example("segvote foresee --ensemble monday --images my_photos --halves 500"),
)
@with_options(tuple(option for option in PREDICTS if option is not IMAGES))  # not required with --halves
@click.option("--images", metavar="DIR|JSON", help="Photos without labels: a directory, or a COCO file.")
@click.option(
    "--out",
    metavar="DIR",
    help="The directory for class maps and results of one vote. [default: one in RUNS/foreseen for each vote and each "
    "source of photos]",
)
@click.option(
    "--halves",
    type=click.IntRange(4),
    metavar="N",
    help="Report how much the scores on two halves of N test photos differ by chance, as on a public and a private "
    "leaderboard.",
)
@click.option(
    "--runs",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How many runs predict: the members and the best other candidates. With fewer than 6 the estimate is rough.",
)
def foresee_command(images: str | None, out: str | None, halves: int | None, runs: int, **flags: Any) -> int:
    """Estimate an ensemble's score on photos without labels."""
    if images is None and halves is None:
        raise UserError("there is nothing to estimate: give --images DIR or --halves N")
    if images is None and out is not None:
        raise UserError("--out needs --images: without photos there are no class maps to write")
    if images is None:
        flags = {**found_places(flags), "images": "", "out": Path()}
    else:
        flags = found({**flags, "images": images, "out": out or ""})
    from search.commands.foresee.command import run_foresee  # torch takes seconds to import
    from search.commands.predict.command import PredictOptions

    options = PredictOptions(**flags)
    return run_foresee(options, options.out if out else None, halves, runs, make_console())
