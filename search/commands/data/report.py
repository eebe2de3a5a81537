"""`segvote data report`: what there is to know of a data set, as one page, its figures as files, and the numbers."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from search.commands.data import charts, galleries
from search.commands.data.page import Section, bullets, make_page, picture, table
from search.report.bars import Bars
from search.report.durations import counted
from trainables.data import Dataset
from trainables.data.dataset import ImageRecord
from trainables.data.exploration.advice import advise
from trainables.data.exploration.counts import count_numbers
from trainables.data.exploration.table import Table, make_table
from trainables.data.scenes import Scenes
from trainables.files import replacing

PAGE, NUMBERS, PICTURES = "report.html", "numbers.json", "pictures"
SHOWN = 12  # images of a sheet
SHOWN_OF_CLASS = 4
NAMED = 4  # photos of a group
LISTED_GROUPS = 20
MOST_CLASSES = 30  # whose pictures are on the page
TITLES = {
    "classes": ("Classes", "Shares of all annotations, of the labelled images, and of their pixels."),
    "splits": ("Classes by file", "Each class's share of the annotations of each file."),
    "areas": ("Areas", "Pixels of the annotations of each class; the box holds the middle half, the line the median."),
    "per_image": ("Images", "How many annotations and classes an image has, and what share of it is labelled."),
    "cooccurrence": (
        "Classes together",
        "Of the images that have the row's class, the share that also has the column's class.",
    ),
    "sizes": ("Sizes", "Width and height of the photos; the larger the dot, the more photos."),
    "hidden": ("Hidden", "The share of each annotation that is covered by smaller ones painted on top."),
}


def run_report(
    dataset: Dataset, out: Path, *, folds: int, scenes: Scenes | None, pictures: bool, console: Console
) -> int:
    """Write report.html, a PNG for each figure and numbers.json, and return the exit code.

    Args:
        dataset: The data set.
        out: The directory to write.
        folds: The number of folds of a search, for advice on rare classes.
        scenes: Which photos belong together; None where the photos were not read.
        pictures: Whether photos are drawn.
        console: Where to print.
    """
    with Bars(console) as bars:
        made = make_table(dataset, bars.add("Counting visible pixels", len(dataset.images)))
        numbers = count_numbers(made)
        if scenes is not None:
            numbers["duplicates"] = belonging_together(dataset, scenes)
        advice = advise(numbers, folds)
        sheets = _sheets(made, bars, console) if pictures else []
    figures = charts.draw(made, numbers)
    for name, figure in figures.items():
        _write(out / f"{name}.png", charts.as_png(figure))
    for look, sheet in sheets:
        _write(out / PICTURES / f"{look.name}.png", galleries.as_png(sheet))
    sections = _sections(numbers, {name: charts.as_svg(figure) for name, figure in figures.items()}, advice, sheets)
    subtitle = f"{numbers['images']} images, {numbers['annotations']} annotations, {numbers['categories']} categories"
    _write(out / NUMBERS, json.dumps(numbers, indent=1).encode())
    _write(out / PAGE, make_page(f"Data: {dataset.root.name}", f"{subtitle}, in {dataset.root}", sections).encode())
    _show(numbers, advice, out, console)
    return 0


def belonging_together(dataset: Dataset, scenes: Scenes) -> dict[str, Any]:
    """Return the groups of photos that are one scene, those with photos in several files first."""
    members: dict[int, list[ImageRecord]] = defaultdict(list)
    for image in dataset.images:
        members[scenes.of_row[image.row]].append(image)
    groups = [group for group in members.values() if len(group) > 1]
    groups.sort(key=lambda group: -len({one.split for one in group}))
    return {
        "groups": len(groups),
        "photos": sum(map(len, groups)),
        "across_splits": sum(len({one.split for one in group}) > 1 for group in groups),
        "by": ", ".join(f"{reason} {photos}" for reason, photos in scenes.reasons),
        "listed": [[f"{one.split}: {one.file_name}" for one in group] for group in groups],
    }


def _sheets(made: Table, bars: Bars, console: Console) -> list[tuple[galleries.Look, Image.Image]]:
    chosen = default_looks(made, SHOWN, SHOWN_OF_CLASS, seed=0)
    total = sum(len(look.tiles) for look in chosen)
    return list(draw_all(chosen, made.dataset, bars.add("Reading photos", total), console))


def default_looks(made: Table, count: int, of_class: int, seed: int) -> list[galleries.Look]:
    """Return the four looks: images, images by area, classes by area, and the annotations of one image.

    Args:
        made: The table of the data set's annotations.
        count: How many images a sheet shows.
        of_class: How many annotations the sheet of a class shows.
        seed: Chooses the images.
    """
    chosen = [
        galleries.random_images(made, count, seed),
        galleries.images_by_area(made, count, ascending=False),
        galleries.images_by_area(made, count, ascending=True),
    ]
    for category in range(min(MOST_CLASSES, len(made.names))):
        chosen += [
            galleries.class_by_area(made, category, of_class, ascending=ascending) for ascending in (False, True)
        ]
    busiest = Counter(made.image.tolist()).most_common(1)
    chosen += [galleries.annotations_of(made, row) for row, _ in busiest]
    return [look for look in chosen if look.tiles]


def draw_all(chosen: Sequence[galleries.Look], dataset: Dataset, update: Any, console: Console) -> Any:
    """Yield each look with its sheet; `update` is called with the number of photos read.

    The photos that cannot be read are told at the end.
    """
    unread: dict[int, str] = {}
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        update(done)

    for look in chosen:
        yield look, galleries.draw_look(look, dataset, unread, step)
    if unread:
        words = "photo cannot be read and is grey in the pictures", "photos cannot be read and are grey in the pictures"
        console.print(f"{counted(len(unread), *words)}:")
    for row in sorted(unread):
        console.print(f"  {unread[row]}", soft_wrap=True)


def _sections(
    numbers: dict[str, Any],
    figures: dict[str, str],
    advice: dict[str, list[str]],
    sheets: Sequence[tuple[galleries.Look, Image.Image]],
) -> list[Section]:
    summary = table(
        ("file", "images", "annotations", "megapixels"),
        [
            (f"{name}.json", its["images"], its["annotations"], f"{its['pixels'] / 1e6:,.1f}")
            for name, its in numbers["splits"].items()
        ],
    )
    sections = [Section("summary", "Summary", "The contents of the files.", summary + _class_table(numbers), wide=True)]
    for name, (title, words) in TITLES.items():
        sections.append(Section(name, title, words, figures[name], advice.get(name, ())))
    if numbers["whole_frame_boxes"]["count"]:
        listed = [f"annotation {one['annotation']} of {one['image']}" for one in numbers["whole_frame_boxes"]["listed"]]
        words = "Annotations whose box covers the whole frame."
        sections.append(Section("boxes", "Whole frames", words, bullets(listed), advice.get("boxes", ())))
    if numbers["problems"]:
        words = "What was found wrong on loading."
        sections.append(
            Section("problems", "Problems", words, bullets(numbers["problems"]), advice.get("problems", ()))
        )
    if "duplicates" in numbers:
        sections.append(_duplicates(numbers["duplicates"], advice))
    for number, (look, sheet) in enumerate(sheets):
        shown, wide = picture(sheet, look.title), len(look.tiles) > SHOWN_OF_CLASS
        sections.append(
            Section(look.name, look.title, f"{len(look.tiles)} shown.", shown, wide=wide, linked=number == 0)
        )
    return sections


def _class_table(numbers: dict[str, Any]) -> str:
    rows = [
        (
            one["name"],
            one["id"],
            one["annotations"],
            one["images"],
            f"{100 * one['pixel_share']:.3f} %",
            f"{one['area_percentiles']['50']:,.0f}" if one["area_percentiles"] else "",
        )
        for one in numbers["classes"]
    ]
    return table(("class", "id", "annotations", "images", "pixels", "median area"), rows)


def _duplicates(found: dict[str, Any], advice: dict[str, list[str]]) -> Section:
    lines = [_of_group(group) for group in found["listed"][:LISTED_GROUPS]]
    body = bullets(lines) if lines else "<p>There are none.</p>"
    words = "Near-duplicates, frames of a sequence and declared groups: photos that splits keep together."
    return Section("duplicates", "Photos that belong together", words, body, advice.get("duplicates", ()))


def _of_group(group: Sequence[str]) -> str:
    """Return how many photos of which files are one group, and some of them; each is given as `file: name`."""
    files = " and ".join(dict.fromkeys(f"{one.partition(': ')[0]}.json" for one in group))
    return f"{len(group)} photos of {files}: {', '.join(group[:NAMED])}{' …' if len(group) > NAMED else ''}"


def _write(path: Path, data: bytes) -> None:
    with replacing(path, sync=False) as temporary:
        temporary.write_bytes(data)


def _show(numbers: dict[str, Any], advice: dict[str, list[str]], out: Path, console: Console) -> None:
    say = lambda text: console.print(text, soft_wrap=True)  # noqa: E731
    say(f"{numbers['images']} images, {numbers['annotations']} annotations, {numbers['categories']} categories")
    for findings in advice.values():
        for finding in findings:
            say(f"- {finding}")
    say(f"page     {out / PAGE}\nnumbers  {out / NUMBERS}")
