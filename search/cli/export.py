"""`segvote export` on the command line."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from search.cli.ensemble import TakesLists

FORMATS = ("torch-export", "torchscript", "onnx")


@click.command("export", cls=TakesLists)
@click.option(
    "--ensemble",
    "reference",
    required=True,
    metavar="E",
    help="ensemble.json or its directory, the id of its run or a trial's in MLflow, or models:/NAME/VERSION.",
)
@click.option("--name", help="That MLflow registers the model by. [default: the ensemble's]")
@click.option("--out", metavar="DIR", help="Where the exported ensemble goes. [default: RUNS/exported/NAME]")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    help="Write each member as a file that runs without SegVote, too.",
)
@click.option("--runs-dir", default="runs", show_default=True, metavar="DIR", help="Where the studies are.")
@click.option("--tracking-uri", metavar="URI", help="Of MLflow. [default: the SQLite file in the runs directory]")
def export_command(runs_dir: str, out: str | None, **flags: Any) -> int:
    """Keep an ensemble: a directory with all it needs, registered in MLflow as a model that can be served."""
    from search.export.command import ExportOptions, run_export  # torch takes seconds to import

    directory = Path(out).expanduser().resolve() if out else None
    return run_export(ExportOptions(out=directory, runs_dir=Path(runs_dir).expanduser().resolve(), **flags), Console())
