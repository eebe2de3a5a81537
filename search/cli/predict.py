"""The command line of `segvote predict`."""

from pathlib import Path
from typing import Any

import click

from search.cli.options import (
    ENSEMBLE_HELP,
    MAX_MEGAPIXELS,
    RUNS_DIR,
    TRACKING_URI,
    Choice,
    TakesLists,
    example,
    make_console,
    with_options,
)
from search.study.references import find_reference
from trainables.errors import UserError

KINDS = ("maps", "overlays", "coco", "csv")


IMAGES = click.option(
    "--images", required=True, metavar="DIR|JSON", help="The photos: a directory, or a COCO file such as test.json."
)
# Of every command that lets an ensemble predict photos.
PREDICTS = (
    click.option(
        "--ensemble",
        "reference",
        required=True,
        metavar="E",
        help=ENSEMBLE_HELP,
    ),
    IMAGES,
    click.option(
        "--tta",
        multiple=True,
        metavar="WORD…",
        help="Views that each member averages: scales=0.75,1.0,1.25 flip. [default: those of the selection]",
    ),
    click.option("--window", is_flag=True, help="Slide windows of the training size over photos at their own size."),
    click.option(
        "--overlap",
        type=float,
        default=0.5,
        show_default=True,
        help="How much windows overlap, as a share of their side.",
    ),
    click.option(
        "--batch-size", type=click.IntRange(1), help="How many photos are predicted at once. [default: as in training]"
    ),
    click.option(
        "--address",
        help="The address of a Ray cluster, which predicts one member on each GPU; 'auto' on its head node.",
    ),
    MAX_MEGAPIXELS,
    RUNS_DIR,
    TRACKING_URI,
)


@click.command(
    "predict",
    cls=TakesLists,
    epilog=example("segvote predict --ensemble monday --images my_photos/test.json --out answer --write csv overlays"),
)
@with_options(PREDICTS)
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    help="The directory for the results; the same command resumes a prediction in it.",
)
@click.option(
    "--write",
    "kinds",
    multiple=True,
    type=Choice(KINDS),
    help="What to write: class maps (PNG), overlays, COCO results, the submission. [default: maps csv]",
)
@click.option("--each", is_flag=True, help="Also write the predictions of each member alone.")
def predict_command(**flags: Any) -> int:
    """Predict photos by the hard vote of an ensemble's members."""
    flags = found(flags)
    from search.commands.predict.command import PredictOptions, run_predict  # torch takes seconds to import

    return run_predict(PredictOptions(**flags), make_console())


def found(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags with absolute paths and with what --ensemble means. Raises UserError for what is not there."""
    flags = found_places(flags) | {"out": Path(flags["out"]).expanduser().resolve()}
    if not Path(flags["images"]).expanduser().exists():
        raise UserError(
            f"--images {flags['images']}: there is no such directory or file; give a directory of photos or a COCO file"
        )
    return flags


def found_places(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags with --runs-dir as an absolute path and with what --ensemble means."""
    runs_dir = Path(flags["runs_dir"]).expanduser().resolve()
    reference = find_reference(flags["reference"], runs_dir, flags["tracking_uri"])
    return {**flags, "runs_dir": runs_dir, "reference": reference}
