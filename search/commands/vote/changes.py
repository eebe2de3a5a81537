"""The pixels that a vote changed in its best member: a picture of each image, and the counts by pair of classes."""

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
from search.report.console import PlainTable, say
from search.report.pictures import overlay, palette, with_legend
from trainables.data.dataset import BACKGROUND
from trainables.data.photos.photo_files import PhotoError, decode_photo, inspect_photos
from trainables.errors import UserError
from trainables.files import read_json, replacing

UNCHANGED = 255
GAP = 4  # pixels between the two pictures
LARGEST = 10  # changes shown on screen
DARKEST, BRIGHTEST = 40, 210  # greys of the classes where there is no photo


def read_class_names(path: Path) -> list[str]:
    """Return the class names by class id from an ensemble.json or a COCO JSON.

    Of an ensemble.json these are its `class_names`; of a COCO JSON they are Background and the categories, ordered by
    id. Raises UserError where the file is neither.
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
    """Raise UserError where an image_id leads out of a directory, or has no photo below `images`."""
    for image_id in image_ids:
        place = PurePosixPath(image_id)
        if place.is_absolute() or ".." in place.parts or "\0" in image_id or not place.parts:
            raise UserError(
                f"image_id {image_id!r} is no valid path below a directory, so --diff cannot write its picture: "
                "rename it"
            )
        if images and not (images / image_id).is_file():
            raise UserError(
                f"--images {images} has no photo {image_id!r}: give the directory below which every image_id is a file"
            )


def write_changes(
    best: SubmissionFile,
    voted: SubmissionFile,
    class_names: Sequence[str],
    directory: Path,
    images: Path | None,
    bar: Callable[[Iterable[Any], str], Iterable[Any]],
) -> np.ndarray:
    """Write the pictures of what the vote changed, and return the counts of the changed pixels.

    `directory`/<image_id>.png is written for every image with a change and removed for every image without one;
    changes.csv holds the counts. Class maps must be square.

    Args:
        best: The submission of the best member.
        voted: The submission of the vote.
        class_names: The names by class id.
        directory: Where the pictures and changes.csv are written.
        images: The directory of the photos; None paints the class maps in grey instead.
        bar: A function that wraps an iterable and shows its progress under a title.

    Returns:
        Counts int64 (classes, classes): rows are the classes of the best member, columns those of the vote.

    Raises:
        UserError: A photo cannot be read.
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
    """Return two class maps side by side, painted where they differ.

    Every class is painted, also the background, because a pixel that became background is a change like any other.

    Args:
        before: The first class map, uint8 (H, W).
        after: The second class map, uint8 (H, W).
        class_names: The names by class id.
        photo: The photo to paint on, uint8 (H, W, 3); None for a grey picture of the classes.
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
    caption = f"{changed.sum():,} changed pixels: the best file on the left, the vote on the right"
    return with_legend(np.hstack([panels[0], gap, panels[1]]), caption, names, colours)


def _grey(class_map: np.ndarray, num_classes: int) -> np.ndarray:
    levels = np.linspace(DARKEST, BRIGHTEST, num_classes).astype(np.uint8)
    return np.repeat(levels[class_map][..., None], 3, axis=-1)


def _photo(path: Path, side: int) -> np.ndarray:
    """Return the photo as RGB uint8 (side, side, 3), turned by its EXIF orientation as cv2.imread does."""
    (facts,) = inspect_photos([path], None)
    try:
        if isinstance(facts, PhotoError):
            raise facts
        return decode_photo(path.read_bytes(), facts.shown_size, (side, side))
    except PhotoError as error:
        raise UserError(f"--images: {path} {error}; the vote was written, but not all of its pictures were") from error


def _write_counts(path: Path, counts: np.ndarray, class_names: Sequence[str]) -> None:
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["best member's class, then the vote's", *class_names])
        table.writerows([name, *row] for name, row in zip(class_names, counts.tolist()))


def show_changes(console: Console, counts: np.ndarray, class_names: Sequence[str], directory: Path) -> None:
    """Print the most frequent changes, and where all of them are.

    Args:
        console: Where to print.
        counts: The counts of changed pixels, int64 (classes, classes), as `write_changes` returns them.
        class_names: The names by class id.
        directory: The directory of the pictures.
    """
    total = int(counts.sum())
    largest = np.argsort(-counts, axis=None, kind="stable")[:LARGEST]
    table = PlainTable("Pixels where the vote differs from the best file", "from", "to", ">pixels", ">of all changes")
    for before, after in zip(*np.unravel_index(largest, counts.shape)):
        if counts[before, after]:
            pixels = int(counts[before, after])
            table.add_row(class_names[before], class_names[after], f"{pixels:,}", f"{pixels / total:.1%}")
    console.print(table if total else "The vote equals its best member in every pixel.")
    say(console, f"diff  {directory}: changes.csv" + (", pictures" if total else ""))
