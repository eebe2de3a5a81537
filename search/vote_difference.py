"""What a vote changed against its best member: overlays of the changed pixels, and from which class to which."""

import csv
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image
from rich.table import Table

from search.pictures import overlay, palette
from search.predict_outputs import save_png
from trainables.data.coco import BACKGROUND
from trainables.data.photos import PhotoError, decode_photo, inspect_header
from trainables.errors import UserError
from trainables.trial_files import replacing

SHOWN = 10  # kinds of change on screen
GREY = 40  # brightness of a step of class id, where there is no photo


class Difference:
    """Collects changes image by image; overlays go to `directory` at once, changes.csv by `write`.

    Raises UserError for a directory of photos or a file of class names that cannot be used.
    """

    def __init__(self, directory: Path, images: Path | None, classes: Path | None) -> None:
        self._directory, self._images = directory, images
        if images is not None and not images.is_dir():
            raise UserError(f"--images {images} is no directory: give the one that the image ids are below")
        self._names = class_names(classes) if classes else []
        self._counts = np.zeros((256, 256), np.int64)
        self._colours = palette(255, background=False)

    def add(self, image_id: str, best: np.ndarray, winners: np.ndarray) -> None:
        """Class ids uint8 (n,) of the best member and of the vote; n is a square number."""
        changed = best != winners
        if not changed.any():
            return
        np.add.at(self._counts, (best[changed], winners[changed]), 1)
        side = math.isqrt(winners.size)
        if side * side != winners.size:
            raise UserError(
                f"image {image_id} has {winners.size} class ids, which make no square: --diff shows squares"
            )
        colours = self._colours.copy()
        colours[255] = 0  # what did not change is left as it is
        shown = np.where(changed, winners, 255).astype(np.uint8).reshape(side, side)
        painted = overlay(self._ground(image_id, best.reshape(side, side)), shown, colours)
        save_png(Image.fromarray(painted), self._directory / f"{image_id}.png")

    def write(self) -> None:
        """changes.csv: pixels that the best member called `from` and the vote calls `to`, the most first."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with replacing(self._directory / "changes.csv") as temporary, temporary.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["from", "to", "pixels"])
            rows.writerows(self.changes())

    def changes(self) -> list[tuple[str, str, int]]:
        """(best member's class, the vote's, pixels), the most frequent first."""
        pairs = np.argwhere(self._counts)
        counted = sorted(((int(self._counts[old, new]), old, new) for old, new in pairs), key=lambda one: -one[0])
        return [(self._name(old), self._name(new), count) for count, old, new in counted]

    def table(self) -> Table:
        """The most frequent changes, for the screen."""
        changes = self.changes()
        total = sum(count for _, _, count in changes)
        table = Table(title=f"Changed against the best file: {total} pixels", caption=f"{self._directory}")
        for heading in ("from", "to"):
            table.add_column(heading)
        table.add_column("pixels", justify="right")
        for old, new, count in changes[:SHOWN]:
            table.add_row(old, new, str(count))
        return table

    def _name(self, class_id: int) -> str:
        return self._names[class_id] if class_id < len(self._names) else str(class_id)

    def _ground(self, image_id: str, class_map: np.ndarray) -> np.ndarray:
        """The photo uint8 (side, side, 3); without photos, the best member's classes in grey."""
        if self._images is None:
            return np.repeat((class_map.astype(np.int64) * GREY % 200).astype(np.uint8)[..., None], 3, axis=2)
        path = self._images / image_id
        try:
            return decode_photo(path.read_bytes(), inspect_header(path).shown_size, class_map.shape)
        except (OSError, PhotoError) as error:
            raise UserError(f"photo {path} cannot be shown: {error}; leave --images out, or give another") from error


def class_names(path: Path) -> list[str]:
    """By class id, from an ensemble.json, or from a COCO file with background as class 0. UserError for other files."""
    try:
        content = json.loads(path.read_text())
        if "class_names" in content:
            return list(map(str, content["class_names"]))
        return [BACKGROUND, *(one["name"] for one in sorted(content["categories"], key=lambda one: one["id"]))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--classes {path} names no classes ({error!r}): give ensemble.json or a COCO file") from error
