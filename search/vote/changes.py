"""What a vote changed against its best member: a picture of each image, and the counts of class by class."""

import csv
from collections.abc import Callable, Iterable, Sequence
from math import isqrt
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from ensembling.predict.submission import SubmissionFile
from ensembling.scores import confusion_matrix
from search.report.pictures import overlay, palette, with_legend
from search.report.plain import PlainTable, say
from trainables.data.coco import BACKGROUND
from trainables.data.photos.photo_files import PhotoError, decode_photo, inspect_photos
from trainables.errors import UserError
from trainables.files import read_json, replacing

UNCHANGED = 255
GAP = 4  # pixels between the two pictures
LARGEST = 10  # changes shown on screen
DARKEST, BRIGHTEST = 40, 210  # greys of the classes where there is no photo


def read_class_names(path: Path) -> list[str]:
    """Names by class id: `class_names` of an ensemble.json, or Background and the categories of a COCO JSON by id.

    Raises UserError where the file is neither.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"--classes {path} cannot be read as JSON ({error})") from error
    try:
        if "class_names" in content:
            names = content["class_names"]
        else:
            names = [BACKGROUND, *(one["name"] for one in sorted(content["categories"], key=lambda one: one["id"]))]
        if isinstance(names, list) and all(isinstance(name, str) for name in names) and 1 <= len(names) <= 255:
            return names
    except (KeyError, TypeError):
        pass
    raise UserError(
        f"--classes {path} has neither a list class_names, as an ensemble.json has, nor categories with id and name, "
        "as COCO has"
    )


def check_places(image_ids: Iterable[str], images: Path | None) -> None:
    """Raises UserError where an image_id leads out of a directory, or has no photo below `images`."""
    for image_id in image_ids:
        place = PurePosixPath(image_id)
        if place.is_absolute() or ".." in place.parts or "\0" in image_id or not place.parts:
            raise UserError(f"image_id {image_id!r} is no name below a directory: --diff cannot write its picture")
        if images and not (images / image_id).is_file():
            raise UserError(f"--images {images} has no photo {image_id!r}: image_id must be a file's name below it")


def write_changes(
    best: SubmissionFile,
    voted: SubmissionFile,
    class_names: Sequence[str],
    directory: Path,
    images: Path | None,
    bar: Callable[[Iterable[Any], str], Iterable[Any]],
) -> np.ndarray:
    """Counts of changed pixels by the best member's class (rows) and the vote's: int64 (classes, classes).

    Writes `directory`/<image_id>.png of every image with a change, removes that of one without, and changes.csv.
    Maps are square. Raises UserError where a photo cannot be read.
    """
    counts = np.zeros((len(class_names), len(class_names)), np.int64)
    for image_id in bar(voted.image_ids, "Drawing"):
        side = isqrt(voted.ids(image_id).size)
        before, after = (file.ids(image_id).reshape(side, side) for file in (best, voted))
        path = directory / f"{image_id}.png"
        if (before == after).all():
            path.unlink(missing_ok=True)
            continue
        counts += confusion_matrix(after, before, len(class_names))
        photo = _photo(images / image_id, side) if images else None
        with replacing(path) as temporary:
            picture_of_changes(before, after, class_names, photo).save(temporary, format="PNG")
    np.fill_diagonal(counts, 0)
    _write_counts(directory / "changes.csv", counts, class_names)
    return counts


def picture_of_changes(
    before: np.ndarray, after: np.ndarray, class_names: Sequence[str], photo: np.ndarray | None
) -> Image.Image:
    """Class maps uint8 (H, W) side by side, painted where they differ, on the photo uint8 (H, W, 3) or their own grey.

    Every class is painted, background too, since what became background is a change like any other.
    """
    colours = palette(len(class_names), background=False)
    colours[UNCHANGED] = 0  # black is not painted
    changed = before != after
    panels = []
    for class_map in (before, after):
        ground = photo if photo is not None else _grey(class_map, len(class_names))
        panels.append(overlay(ground, np.where(changed, class_map, UNCHANGED), colours))
    gap = np.full((before.shape[0], GAP, 3), 255, np.uint8)
    seen = np.union1d(before[changed], after[changed]).tolist()
    names = {class_id: class_names[class_id] for class_id in seen}
    caption = f"{changed.sum():,} pixels: what the best member said, what the vote says"
    return with_legend(np.hstack([panels[0], gap, panels[1]]), caption, names, colours)


def _grey(class_map: np.ndarray, num_classes: int) -> np.ndarray:
    levels = np.linspace(DARKEST, BRIGHTEST, num_classes).astype(np.uint8)
    return np.repeat(levels[class_map][..., None], 3, axis=-1)


def _photo(path: Path, side: int) -> np.ndarray:
    """RGB uint8 (side, side, 3), turned as its EXIF orientation says, like cv2.imread."""
    (facts,) = inspect_photos([path], None)
    try:
        if isinstance(facts, PhotoError):
            raise facts
        return decode_photo(path.read_bytes(), facts.shown_size, (side, side))
    except PhotoError as error:
        raise UserError(f"--images: {path} {error}; the vote is written, its pictures are not all there") from error


def _write_counts(path: Path, counts: np.ndarray, class_names: Sequence[str]) -> None:
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["best member's class, then the vote's", *class_names])
        table.writerows([name, *row] for name, row in zip(class_names, counts.tolist()))


def show_changes(console: Console, counts: np.ndarray, class_names: Sequence[str], directory: Path) -> None:
    """The largest changes, and where all of them are."""
    total = int(counts.sum())
    largest = np.argsort(-counts, axis=None, kind="stable")[:LARGEST]
    table = PlainTable("What the vote changed of its best member", "from", "to", ">pixels", ">of all changes")
    for before, after in zip(*np.unravel_index(largest, counts.shape)):
        if counts[before, after]:
            pixels = int(counts[before, after])
            table.add_row(class_names[before], class_names[after], f"{pixels:,}", f"{pixels / total:.1%}")
    console.print(table if total else "The vote is its best member in every pixel.")
    say(console, f"diff  {directory}: changes.csv" + (", pictures" if total else ""))
