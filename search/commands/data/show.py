"""`segvote data show`: the pictures of a data set as PNG files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from search.commands.data import galleries
from search.commands.data.report import default_looks, draw_all
from search.report.bars import Bars
from trainables.data import Dataset
from trainables.data.exploration.table import Table, make_table
from trainables.errors import UserError
from trainables.files import replacing


@dataclass(frozen=True)
class ShowOptions:
    """What to draw: images by id or by name, classes by name, the single annotations of images; else the four looks."""

    images: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    annotations_of: tuple[str, ...] = ()
    count: int = 12
    seed: int = 0


def run_show(dataset: Dataset, options: ShowOptions, out: Path, console: Console) -> int:
    """Write one PNG for each look, and return the exit code.

    Args:
        dataset: The data set.
        options: What is drawn.
        out: The directory of the files.
        console: Where to print.
    """
    with Bars(console) as bars:
        made = make_table(dataset, bars.add("Counting visible pixels", len(dataset.images)))
        chosen = _chosen(made, options) or default_looks(made, options.count, options.count, options.seed)
        total = sum(len(look.tiles) for look in chosen)
        for look, sheet in draw_all(chosen, dataset, bars.add("Reading photos", total), console):
            with replacing(out / f"{look.name}.png", sync=False) as temporary:
                temporary.write_bytes(galleries.as_png(sheet))
    for look in chosen:
        console.print(f"{out / look.name!s}.png  {look.title}", soft_wrap=True)
    return 0


def _chosen(made: Table, options: ShowOptions) -> list[galleries.Look]:
    chosen = []
    if options.images:
        rows = [find_image(made.dataset, text) for text in options.images]
        chosen.append(galleries.choose_images(made.dataset, rows, "images", "Images with their masks"))
    for name in options.classes:
        if name not in made.names:
            raise UserError(f"--class {name!r}: the classes are {', '.join(made.names)}")
        index = made.names.index(name)
        chosen += [galleries.class_by_area(made, index, options.count, ascending=one) for one in (False, True)]
    chosen += [galleries.annotations_of(made, find_image(made.dataset, text)) for text in options.annotations_of]
    return [look for look in chosen if look.tiles]


def find_image(dataset: Dataset, text: str) -> int:
    """Return the row of the image that an id or a file name means; UserError where none or several do."""
    found: Sequence[int] = [
        image.row for image in dataset.images if text in (str(image.image_id), image.file_name, image.path.name)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        example = f", such as {dataset.images[0].file_name}" if dataset.images else ""
        raise UserError(f"no image has the id or file name {text!r}: give one as the COCO files have it{example}")
    among = ", ".join(f"{dataset.images[row].split}.json: {dataset.images[row].file_name}" for row in found)
    raise UserError(f"{text!r} may be any of {among}: give its file name")
