"""`segvote predict` on the command line."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from search.cli.ensemble import TakesLists
from search.cli.options import with_options

KINDS = ("maps", "overlays", "coco", "csv")


# Of every command that lets an ensemble predict photos.
PREDICTS = (
    click.option(
        "--ensemble",
        "reference",
        required=True,
        metavar="E",
        help="ensemble.json or its directory, the id of its run or a trial's in MLflow, or models:/NAME/VERSION.",
    ),
    click.option("--images", required=True, metavar="DIR|JSON", help="A directory, or a COCO file like test.json."),
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
    click.option("--runs-dir", default="runs", show_default=True, metavar="DIR", help="Where the studies are."),
    click.option("--tracking-uri", metavar="URI", help="Of MLflow. [default: the SQLite file in the runs directory]"),
)


@click.command("predict", cls=TakesLists)
@with_options(PREDICTS)
@click.option("--out", required=True, metavar="DIR", help="Where the results go; the same command goes on there.")
@click.option(
    "--write",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    help="Class maps (PNG), overlays, COCO results, the submission. [default: maps csv]",
)
@click.option("--each", is_flag=True, help="Write the same for each member alone, too.")
def predict_command(runs_dir: str, out: str, **flags: Any) -> int:
    """Predict photos without labels: the hard vote of an ensemble's members."""
    from search.predict.command import PredictOptions, run_predict  # torch takes seconds to import

    paths = {"runs_dir": Path(runs_dir).expanduser().resolve(), "out": Path(out).expanduser().resolve()}
    return run_predict(PredictOptions(**paths, **flags), Console())
