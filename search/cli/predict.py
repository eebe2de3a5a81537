"""`segvote predict` on the command line."""

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


IMAGES = click.option("--images", required=True, metavar="DIR|JSON", help="A directory, or a COCO file like test.json.")
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
        help="Views to average in each member: scales=0.75,1.0,1.25 flip. [default: those it was selected with]",
    ),
    click.option("--window", is_flag=True, help="Slide windows of the training size over photos at their own size."),
    click.option("--overlap", type=float, default=0.5, show_default=True, help="Of windows, as a share of their side."),
    click.option("--batch-size", type=click.IntRange(1), help="Photos at once. [default: as in training]"),
    click.option("--address", help="Of a running Ray cluster, whose GPUs take a member each; 'auto' on its head node."),
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
@click.option("--out", required=True, metavar="DIR", help="Where the results go; the same command goes on there.")
@click.option(
    "--write",
    "kinds",
    multiple=True,
    type=Choice(KINDS),
    help="Class maps (PNG), overlays, COCO results, the submission. [default: maps csv]",
)
@click.option("--each", is_flag=True, help="Write the same for each member alone, too.")
def predict_command(**flags: Any) -> int:
    """Predict photos without labels: the hard vote of an ensemble's members."""
    flags = found(flags)
    from search.predict.command import PredictOptions, run_predict  # torch takes seconds to import

    return run_predict(PredictOptions(**flags), make_console())


def found(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags with absolute paths and with what --ensemble means. Raises UserError for what is not there."""
    flags = found_places(flags) | {"out": Path(flags["out"]).expanduser().resolve()}
    if not Path(flags["images"]).expanduser().exists():
        raise UserError(
            f"--images {flags['images']}: there is neither a directory nor a file; give photos or a COCO file"
        )
    return flags


def found_places(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags with --runs-dir as an absolute path and with what --ensemble means."""
    runs_dir = Path(flags["runs_dir"]).expanduser().resolve()
    reference = find_reference(flags["reference"], runs_dir, flags["tracking_uri"])
    return {**flags, "runs_dir": runs_dir, "reference": reference}
