"""The command line of `segvote data`. Each command imports what it needs when it runs, so that --help is quick."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.cli.options import (
    CACHE_DIR,
    DATA_FILES,
    EDITS,
    FOLDS,
    JSON,
    RUNS_DIR,
    UNLABELLED,
    Choice,
    example,
    make_console,
    with_options,
)
from trainables.errors import UserError

if TYPE_CHECKING:
    from trainables.data import Dataset

DATA = (
    click.option("--data", required=True, metavar="DIR", help="A COCO data set with train.json, or 'sample'."),
    UNLABELLED,
    *DATA_FILES,
    CACHE_DIR,
    EDITS,
)


@click.group("data")
def data_command() -> None:
    """Look at a data set, check its folds, and convert its format."""


@data_command.command("import", epilog=example("segvote data import yolo my_yolo --out my_photos"))
@click.argument("name", metavar="FORMAT")
@click.argument("source", metavar="SRC")
@click.option("--out", required=True, metavar="DIR", help="The data set to write.")
@click.option(
    "--classes", metavar="FILE", help="A file with the names of the classes, one per line, if the format needs it."
)
@click.option(
    "--void",
    type=Choice(["background", "ignore"]),
    help="What pixels of no class become in PNG masks. [default: background for masks, else ignore]",
)
@click.option("--skip-photos", is_flag=True, help="Leave out photos of coco and roboflow that are missing or damaged.")
@click.option("--copy", is_flag=True, help="Copy the photos instead of making hard links.")
def import_command(
    name: str, source: str, out: str, classes: str | None, void: str | None, skip_photos: bool, copy: bool
) -> int:
    """Write a data set from labels in another FORMAT at SRC.

    FORMAT is masks (PNG files and a list of classes), voc, ade20k, cityscapes, yolo, label-studio, cvat, labelme,
    roboflow or coco.
    """
    from search.commands.data.formats import run_import
    from trainables.data.formats.imported import ImportOptions

    options = ImportOptions(_path(classes) if classes else None, void, skip_photos)
    return run_import(name, _path(source), _path(out), options, copy=copy, console=make_console())


@data_command.command("export", epilog=example("segvote data export masks --data my_photos --out my_masks"))
@click.argument("kind", type=Choice(["masks", "coco"]))
@with_options(DATA)
@click.option("--out", required=True, metavar="DIR", help="The directory to write.")
def export_command(kind: str, out: str, **data: Any) -> int:
    """Write a data set as PNG masks or as COCO."""
    from search.commands.data.formats import run_export

    return run_export(kind, _dataset(**data), _path(out), make_console())


@data_command.command("report", epilog=example("segvote data report --data my_photos"))
@with_options(DATA)
@click.option("--out", default="data-report", show_default=True, metavar="DIR", help="Where its files go.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="The number of folds of a search.")
@click.option("--no-photos", is_flag=True, help="Look at annotations alone; --data may then be a single COCO file.")
def report_command(out: str, folds: int, no_photos: bool, **data: Any) -> int:
    """Write a page about a data set, with advice.

    Its charts and numbers are written as files, too.
    """
    from search.commands.data.report import run_report
    from search.report.scenes import scenes_of

    console, directory = make_console(), _out(out)
    dataset = _dataset(**data, photos=not no_photos)
    scenes = None if no_photos else scenes_of(dataset, None, _path(data["cache_dir"]), console)
    return run_report(dataset, directory, folds=folds, scenes=scenes, pictures=not no_photos, console=console)


@data_command.command("show", epilog=example("segvote data show --data my_photos --class Paper --class Glass"))
@with_options(DATA)
@click.option(
    "--out", default="data-pictures", show_default=True, metavar="DIR", help="The directory for the pictures."
)
@click.option("--image", "images", multiple=True, metavar="ID|NAME", help="Draw this image; may be repeated.")
@click.option(
    "--class", "classes", multiple=True, metavar="NAME", help="Draw the largest and smallest annotations of a class."
)
@click.option("--annotations-of", multiple=True, metavar="ID|NAME", help="Draw each annotation of an image separately.")
@click.option("--augment", is_flag=True, help="Draw a batch of training photos with each augmentation instead.")
@click.option(
    "--image-size", default="512", show_default=True, metavar="N|WxH", help="The size of the photos for --augment."
)
@click.option(
    "--count", type=click.IntRange(1), default=12, show_default=True, help="The number of pictures on a sheet."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The seed for choosing the images.")
def show_command(
    out: str,
    images: tuple[str, ...],
    classes: tuple[str, ...],
    annotations_of: tuple[str, ...],
    augment: bool,
    image_size: str,
    count: int,
    seed: int,
    **data: Any,
) -> int:
    """Draw a data set's images with their masks.

    They are ordered by labelled area, by class, and annotation by annotation.
    """
    from search.commands.data.show import ShowOptions, run_show
    from trainables.config import parse_size

    directory = _out(out)
    if augment:
        from search.commands.data.augmented import run_augment

        size, cache = parse_size(image_size), _path(data["cache_dir"])
        return run_augment(_dataset(**data), size, directory, cache, count, seed, make_console())
    options = ShowOptions(images, classes, annotations_of, count, seed)
    return run_show(_dataset(**data), options, directory, make_console())


@data_command.command("folds", epilog=example("segvote data folds --data my_photos --folds-by multilabel"))
@with_options(DATA)
@with_options(FOLDS)
@click.option(
    "--holdout-fraction",
    type=click.FloatRange(0.05, 0.9),
    default=0.2,
    show_default=True,
    help="The share of train.json that is held out if there is no val.json.",
)
@click.option(
    "--group-by",
    metavar="REGEX",
    help="Photos are one scene if this regular expression matches the same text in their names.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The seed of the splits.")
@click.option("--out", default="data-folds", show_default=True, metavar="DIR", help="The directory to write.")
@click.option("--no-photos", is_flag=True, help="Read the annotations only; --data may then be a single COCO file.")
def folds_command(
    folds: int,
    folds_by: str,
    folds_file: str | None,
    holdout_fraction: float,
    group_by: str | None,
    seed: int,
    out: str,
    no_photos: bool,
    **data: Any,
) -> int:
    """Show how balanced the folds of a search would be.

    The other methods of --folds-by are shown beside the one that is given.
    """
    from search.commands.data.folds import FoldsOptions, run_folds
    from search.report.scenes import scenes_of
    from trainables.data.scenes import declared_scenes

    if folds_by == "predefined" and folds_file is None:
        raise UserError("--folds-by predefined needs a file of image and fold: give --folds-file FILE")
    console, directory = make_console(), _out(out)
    dataset = _dataset(**data, photos=not no_photos)
    if no_photos:
        scenes = declared_scenes(dataset.images, group_by)
    else:
        scenes = scenes_of(dataset, group_by, _path(data["cache_dir"]), console)
    file = _path(folds_file) if folds_file else None
    options = FoldsOptions(folds, folds_by, file, holdout_fraction, seed)
    return run_folds(dataset, scenes, options, directory, console)


@data_command.command("suspects", epilog=example("segvote data suspects --study night"))
@click.option(
    "--study",
    required=True,
    metavar="NAME",
    help="The study whose trials vote; trials that left out a fold are most useful.",
)
@RUNS_DIR
@CACHE_DIR
@click.option(
    "--count",
    type=click.IntRange(1),
    default=40,
    show_default=True,
    help="How many suspects are drawn and drafted as edits.",
)
@click.option("--out", default="data-suspects", show_default=True, metavar="DIR", help="The directory to write.")
def suspects_command(study: str, runs_dir: str, cache_dir: str, count: int, out: str) -> int:
    """Rank the annotations that are probably wrong.

    The trials of a study vote on photos that they were not trained on, and their vote is compared with the labels.
    """
    from search.commands.data.suspects import run_suspects

    return run_suspects(study, _path(runs_dir), _path(cache_dir), _out(out), count, make_console())


@data_command.command("compare", epilog=example("segvote data compare before/train.json after/train.json"))
@click.argument("one", metavar="A.json")
@click.argument("other", metavar="B.json")
@JSON
def compare_command(one: str, other: str, as_json: bool) -> int:
    """Show what differs between two annotation files.

    Images, classes and annotations are compared.
    """
    from search.commands.data.compare import run_compare

    return run_compare(_path(one), _path(other), "background", make_console(as_json=as_json), as_json=as_json)


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _out(text: str) -> Path:
    """Return the directory to write. Raises UserError where it cannot be, before anything is read or predicted."""
    from search.tracking.store_file import check_writable

    directory = _path(text)
    check_writable(directory, "--out")
    return directory


def _dataset(data: str, cache_dir: str, edits: str | None, photos: bool = True, **files: Any) -> "Dataset":
    """Return the data set after its edits; `files` are the other keywords of `load_dataset`.

    Without `photos` the annotations alone are read.
    """
    from trainables.data import load_dataset
    from trainables.data.coco import load_annotations
    from trainables.data.edits import apply_edits, read_edits, without_rows
    from trainables.data.sample.dataset import write_sample

    if photos:
        root = write_sample(_path(cache_dir) / "sample", seed=0) if data == "sample" else _path(data)
        dataset = load_dataset(root, cache_dir=_path(cache_dir), **files)
    else:
        del files["max_megapixels"]  # no photo is decoded
        dataset = load_annotations(_path(data), **files)
    if edits is None:
        return dataset
    edited = apply_edits(dataset, read_edits(_path(edits)), dataset.rows("val"))
    for rule, count in edited.counts:
        click.echo(f"{rule} changes {count}")
    return without_rows(edited.dataset, edited.dropped)
