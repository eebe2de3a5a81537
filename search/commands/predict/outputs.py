"""The files that a prediction is written as: class maps, overlays, COCO results, and the submission."""

import hashlib
import itertools
import json
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from ensembling.predict.submission import SubmissionWriter
from ensembling.runs.members import Ensemble
from search.report.pictures import overlay, palette, with_legend
from trainables.data.photo_list import Photo, PhotoList
from trainables.data.photos.photo_files import decode_photo, usable_threads
from trainables.files import replacing, write_json
from trainables.hardware.prefetch import work_ahead

WRITTEN = (  # below --out
    "submission.csv", "results.json", "images.json", "scores.json", "maps", "overlays", "each", "members",
)  # fmt: skip
AHEAD = 16  # how many photos may be in the process of writing
LEGEND_WIDTH = 200  # pixels; narrower overlays get white on the right, so that the legend fits
LONGEST_NAME = 200  # bytes of a part of a path; file systems allow 255, and temporary names are longer


class Outputs:
    """A writer of the `kinds` that were asked for into `directory`: maps/, overlays/, results.json, submission.csv.

    Beside results.json lies images.json, a COCO file of the images and categories that its ids mean.
    `truth` returns a photo's labels as a class map uint8 (H, W) where they are known; overlays then show them as well.
    """

    def __init__(
        self,
        directory: Path,
        kinds: Sequence[str],
        listed: PhotoList,
        ensemble: Ensemble,
        truth: Callable[[Photo], np.ndarray] | None = None,
    ) -> None:
        self.directory, self.kinds, self._truth, self._class_names = directory, kinds, truth, ensemble.class_names
        self._photos = listed.photos
        self._colours = palette(len(ensemble.class_names), background=ensemble.unlabelled == "background")
        self._category_ids = category_ids(ensemble.labelled_classes, listed.category_ids, ensemble.category_ids)
        names = png_names([photo.file_name for photo in listed.photos])
        self._names = dict(zip((photo.file_name for photo in listed.photos), names))

    def write(self, voted: Iterable[tuple[Photo, np.ndarray]]) -> Iterator[int]:
        """Write photos and their class maps uint8 (H, W), `voted` in the list's order; yield how many are written.

        Each file is whole or not there; results.json and submission.csv get their names at the end.
        """
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(usable_threads()))
            results = rows = None
            if "coco" in self.kinds:
                results = stack.enter_context(ResultsWriter(self.directory / "results.json"))
            if "csv" in self.kinds:
                rows = stack.enter_context(SubmissionWriter(self.directory / "submission.csv"))
            written = work_ahead(pool, self._write_photo, voted, ahead=AHEAD)
            for done, (photo, class_map, objects) in enumerate(written, start=1):
                if results:
                    results.add(objects)
                if rows:
                    rows.add(photo.file_name, class_map)
                yield done
            if results:
                write_json(self.directory / "images.json", self._listed())

    def _listed(self) -> dict[str, Any]:
        """Return what the ids in results.json mean, as a COCO file that the results can be loaded into."""
        images = [
            {"id": one.image_id, "file_name": one.file_name, "height": one.height, "width": one.width}
            for one in self._photos
        ]
        categories = [{"id": key, "name": self._class_names[one]} for one, key in sorted(self._category_ids.items())]
        return {"images": images, "annotations": [], "categories": categories}

    def _write_photo(self, voted: tuple[Photo, np.ndarray]) -> tuple[Photo, np.ndarray, list[dict[str, Any]]]:
        photo, class_map = voted
        name = self._names[photo.file_name]
        if "maps" in self.kinds:
            image = Image.fromarray(class_map)
            image.putpalette(self._colours.reshape(-1).tolist())
            save_png(image, self.directory / "maps" / name)
        if "overlays" in self.kinds:
            save_png(self._overlay(photo, class_map), self.directory / "overlays" / name)
        objects = coco_results(photo.image_id, class_map, self._category_ids) if "coco" in self.kinds else []
        return photo, class_map, objects

    def _overlay(self, photo: Photo, class_map: np.ndarray) -> Image.Image:
        """Return the photo with its classes painted, beside it the labels if they are known, and the legend below."""
        maps = [class_map] if self._truth is None else [class_map, self._truth(photo)]
        pixels = decode_photo(photo.path.read_bytes(), photo.size, photo.size)
        sheet = np.hstack([overlay(pixels, one, self._colours) for one in maps])
        room = max(0, LEGEND_WIDTH - sheet.shape[1])
        sheet = np.pad(sheet, ((0, 0), (0, room), (0, 0)), constant_values=255)
        caption = "left: predicted; right: labels" if self._truth else "predicted"
        return with_legend(sheet, caption, dict(enumerate(self._class_names)), self._colours)


class ResultsWriter:
    """A COCO results file that is written entry by entry and gets its name when the block succeeds."""

    def __init__(self, path: Path) -> None:
        self._replacing, self._entries = replacing(path), 0

    def add(self, objects: Sequence[dict[str, Any]]) -> None:
        for one in objects:
            self._file.write(("[\n" if not self._entries else ",\n") + json.dumps(one))
            self._entries += 1

    def __enter__(self) -> "ResultsWriter":
        self._file = self._replacing.__enter__().open("w")
        return self

    def __exit__(self, *failure: Any) -> None:
        self._file.write("\n]\n" if self._entries else "[]\n")
        self._file.close()
        self._replacing.__exit__(*failure)


def coco_results(image_id: int, class_map: np.ndarray, ids: dict[int, int]) -> list[dict[str, Any]]:
    """Return an entry of COCO's results format for each class of `class_map` uint8 (H, W) that has a category id."""
    entries = []
    for class_id in np.unique(class_map).tolist():
        if class_id in ids:
            rle = coco_mask.encode(np.asfortranarray(class_map == class_id))
            segmentation = {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
            entry = {"image_id": image_id, "category_id": ids[class_id], "segmentation": segmentation, "score": 1.0}
            entries.append(entry)
    return entries


def category_ids(classes: dict[int, str], *known: dict[str, int]) -> dict[int, int]:
    """Return the category ids of `classes`, names by class id: those of the first of `known` that has all, else 1, 2, …

    Ids of several sources are never combined, because two classes could get the same id.
    """
    for ids in known:
        if all(name in ids for name in classes.values()):
            return {class_id: ids[name] for class_id, name in classes.items()}
    return {class_id: number for number, class_id in enumerate(classes, start=1)}


def png_names(file_names: Sequence[str]) -> list[str]:
    """Return a path ending in .png for each photo, no two of which name the same file on any file system.

    It is the photo's own path with another suffix. Where photos would share one, they keep their own suffix before it
    and, if that is not enough, are numbered: names may differ only in capitals or in how characters are composed, and
    one may be a folder of another. Long names are shortened.
    """
    plain = [_shortened(str(PurePosixPath(posixpath.normpath(name)).with_suffix(""))) for name in file_names]
    whole = [_shortened(posixpath.normpath(name)) for name in file_names]
    chosen = [f"{name}.png" for name in plain]
    for tried in itertools.count():
        met = _met(chosen)
        if not met:
            return chosen
        for index in met:
            number = f"{'~' * tried}{index + 1}" if tried else ""
            chosen[index] = f"{whole[index]}{number}.png"


def _met(paths: Sequence[str]) -> set[int]:
    """Return the indices of the paths that are equal to another one of them or lie in a folder of its name."""
    keys = [unicodedata.normalize("NFC", path).casefold() for path in paths]
    counts = Counter(keys)
    folders = {str(parent) for key in keys for parent in PurePosixPath(key).parents}
    return {index for index, key in enumerate(keys) if counts[key] > 1 or key in folders}


def _shortened(path: str) -> str:
    """Return the path with each part cut to LONGEST_NAME bytes; a digest keeps shortened parts distinct."""
    parts = []
    for part in path.split("/"):
        if len(part.encode()) > LONGEST_NAME:
            digest = hashlib.sha256(part.encode()).hexdigest()[:12]
            part = f"{part.encode()[: LONGEST_NAME - 13].decode(errors='ignore')}-{digest}"
        parts.append(part)
    return "/".join(parts)


def save_png(image: Image.Image, path: Path) -> None:
    """Write the image, whole or not at all, without waiting until it is on the disk, because there are thousands."""
    with replacing(path, sync=False) as temporary:
        image.save(temporary, format="PNG")
