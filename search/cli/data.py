"""`segvote data …` on the command line. What a command needs is imported when it runs: --help does not wait for it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from search.cli.options import with_options

if TYPE_CHECKING:
    from trainables.data import Dataset

DATA = (
    click.option("--data", required=True, metavar="DIR", help="COCO data set with train.json, or 'sample'."),
    click.option(
        "--unlabelled",
        type=click.Choice(["background", "ignore"]),
        default="background",
        show_default=True,
        help="What pixels without annotation are: class 0, or no class.",
    ),
    click.option(
        "--cache-dir", default="~/.cache/segvote", show_default=True, metavar="DIR", help="Remembers what was read."
    ),
)


@click.group("data")
def data_command() -> None:
    """Look at a data set, split and correct it, and bring it in from other formats."""


@data_command.command("import")
@click.argument("name", metavar="FORMAT")
@click.argument("source", metavar="SRC")
@click.option("--out", required=True, metavar="DIR", help="The data set to write.")
@click.option("--classes", metavar="FILE", help="The list of classes, one a line, where the format needs one.")
@click.option(
    "--void",
    type=click.Choice(["background", "ignore"]),
    help="What pixels of no class in PNG masks become. [default: background for masks, else ignore]",
)
@click.option("--copy", is_flag=True, help="Copy photos, rather than make hard links where that works.")
def import_command(name: str, source: str, out: str, classes: str | None, void: str | None, copy: bool) -> int:
    """Write a data set from labels in another FORMAT at SRC.

    FORMAT is masks (PNG files and a list of classes), voc, ade20k, cityscapes, yolo, label-studio, cvat, labelme,
    roboflow or coco.
    """
    from search.data.formats import run_import
    from trainables.data.formats.imported import ImportOptions

    options = ImportOptions(_path(classes) if classes else None, void)
    return run_import(name, _path(source), _path(out), options, copy=copy, console=Console())


@data_command.command("export")
@click.argument("kind", type=click.Choice(["masks", "coco"]))
@with_options(DATA)
@click.option("--out", required=True, metavar="DIR", help="The directory to write.")
def export_command(kind: str, out: str, **data: str) -> int:
    """Write a data set as PNG masks or as COCO."""
    from search.data.formats import run_export

    return run_export(kind, _dataset(**data), _path(out), Console())


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _dataset(data: str, unlabelled: str, cache_dir: str) -> "Dataset":
    from trainables.data import load_dataset

    return load_dataset(_path(data), unlabelled=unlabelled, cache_dir=_path(cache_dir))
