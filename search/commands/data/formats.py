"""`segvote data import` and `segvote data export`."""

from pathlib import Path

from rich.console import Console

from search.report.bars import Bars
from search.report.durations import counted
from trainables.data import Dataset
from trainables.data.annotations.checks import Problem
from trainables.data.formats.export import EXPORTERS
from trainables.data.formats.imported import ImportOptions
from trainables.data.formats.readers import READERS
from trainables.data.formats.write import ImportReport, write_dataset
from trainables.errors import UserError, nearest
from trainables.files import check_unpacked

SHOWN_PROBLEMS = 10
LISTING_PHOTOS = ("coco", "roboflow")


def run_import(name: str, source: Path, out: Path, options: ImportOptions, *, copy: bool, console: Console) -> int:
    """Write a data set from labels in another format, print what is in it, and return the exit code.

    Args:
        name: The name of the format, a key of READERS.
        source: The file or directory in that format.
        out: The directory to write.
        options: What the format does not say itself.
        copy: Whether photos are copied instead of linked.
        console: Where to print.

    Raises:
        UserError: The format is unknown, `source` is missing or wrong, or `out` exists.
    """
    if name not in READERS:
        raise UserError(f"unknown format {name!r}{nearest(name, READERS)}: choose one of {', '.join(READERS)}")
    if options.skip_photos and name not in LISTING_PHOTOS:
        raise UserError(
            f"--skip-photos is for {' and '.join(LISTING_PHOTOS)}, whose files list the photos, not for {name}"
        )
    if not source.exists():
        raise UserError(f"{source}: there is no such directory or file")
    if source.is_file():
        check_unpacked(source)
    if out.exists():
        raise UserError(f"{out} exists already: give another directory, or remove it first")
    with console.status(f"Looking at {source} …"):
        imported = READERS[name](source, options)
    with Bars(console) as bars:
        report = write_dataset(out, imported, copy=copy, progress=bars.add("Reading labels", imported.count))
    _show(report, out, imported.unlabelled, console)
    return 0


def _show(report: ImportReport, out: Path, unlabelled: str, console: Console) -> None:
    counts = ", ".join(f"{count} {split}" for split, count in report.photos.items())
    say = lambda text: console.print(text, soft_wrap=True)  # noqa: E731
    say(f"{out}: {counts} images, {sum(report.shapes.values())} annotations")
    say("\n".join(report.dataset.summary.splitlines()[1 : 1 + len(report.dataset.categories)]))
    for note in report.notes:
        say(f"note: {note}")
    show_problems(("shape or photo was skipped", "shapes or photos were skipped"), report.problems, console)
    odd = "thing is odd in what was written", "things are odd in what was written"
    show_problems(odd, report.dataset.problems, console)
    ignore = " --unlabelled ignore" if unlabelled == "ignore" else ""
    if ignore:
        say("Pixels without annotation are no class in this data set, which --unlabelled ignore says to each command:")
    say(f"    segvote data report --data {out}{ignore}\n    segvote search --data {out}{ignore} --dry-run")


def show_problems(words: tuple[str, str], problems: tuple[Problem, ...], console: Console) -> None:
    """Print the first of the problems, and how many there are, with `words` that fit one and several."""
    if problems:
        console.print(f"{counted(len(problems), *words)}:")
    for problem in problems[:SHOWN_PROBLEMS]:
        console.print(f"  {problem!s}", soft_wrap=True)
    if len(problems) > SHOWN_PROBLEMS:
        console.print(f"  … and {len(problems) - SHOWN_PROBLEMS} more")


def run_export(kind: str, dataset: Dataset, out: Path, console: Console) -> int:
    """Write the data set as PNG masks or as COCO, and return the exit code.

    Args:
        kind: "masks" or "coco".
        dataset: The data set.
        out: The directory to write.
        console: Where to print.
    """
    with Bars(console) as bars:
        EXPORTERS[kind](dataset, out, bars.add("Writing", len(dataset.images)))
    console.print(f"{out!s}: {len(dataset.images)} images", soft_wrap=True)
    return 0
