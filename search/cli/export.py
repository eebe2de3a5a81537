"""The command line of `segvote export`."""

from pathlib import Path
from typing import Any

import click

from search.cli.options import ENSEMBLE_HELP, RUNS_DIR, TRACKING_URI, Choice, TakesLists, example, make_console
from search.study.references import find_reference

FORMATS = ("torch-export", "torchscript", "onnx")


@click.command("export", cls=TakesLists, epilog=example("segvote export --ensemble monday --format onnx"))
@click.option(
    "--ensemble",
    "reference",
    required=True,
    metavar="E",
    help=ENSEMBLE_HELP,
)
@click.option("--name", help="The name of the registered model in MLflow. [default: that of the ensemble]")
@click.option("--out", metavar="DIR", help="The directory to write. [default: RUNS/exported/NAME]")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=Choice(FORMATS),
    help="Also write each member as a file that runs without SegVote.",
)
@RUNS_DIR
@TRACKING_URI
def export_command(reference: str, runs_dir: str, out: str | None, **flags: Any) -> int:
    """Write an ensemble as a model that can be served.

    All its files are written to one directory, and the model is registered in MLflow.
    """
    places = {"runs_dir": Path(runs_dir).expanduser().resolve()}
    places["out"] = Path(out).expanduser().resolve() if out else None
    reference = find_reference(reference, places["runs_dir"], flags["tracking_uri"])
    from search.commands.export.command import ExportOptions, run_export  # torch takes seconds to import

    return run_export(ExportOptions(reference=reference, **places, **flags), make_console())
