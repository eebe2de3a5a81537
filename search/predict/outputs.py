"""What a prediction is written as: class maps, overlays, COCO results, and the submission."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from ensembling.predict.submission import SubmissionWriter
from ensembling.runs.members import Ensemble
from search.report.pictures import overlay, palette
from trainables.data.photos import decode_photo, usable_threads
from trainables.data.unlabelled import Photo, PhotoList
from trainables.files import replacing
from trainables.prefetch import work_ahead

AHEAD = 16  # photos whose files are being written


class Outputs:
    """Writes the `kinds` asked for into `directory`: maps/, overlays/, results.json, submission.csv."""

    def __init__(self, directory: Path, kinds: Sequence[str], listed: PhotoList, ensemble: Ensemble) -> None:
        self.directory, self.kinds = directory, kinds
        self._colours = palette(len(ensemble.class_names), background=ensemble.unlabelled == "background")
        self._category_ids = category_ids(ensemble.labelled_classes, listed.category_ids, ensemble.category_ids)
        self._names = png_names([photo.file_name for photo in listed.photos])

    def write(self, voted: Iterable[tuple[Photo, np.ndarray]]) -> Iterator[int]:
        """`voted` are photos and their class maps uint8 (H, W), in the list's order; yields how many are written.

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

    def _write_photo(self, voted: tuple[Photo, np.ndarray]) -> tuple[Photo, np.ndarray, list[dict[str, Any]]]:
        photo, class_map = voted
        name = self._names[photo.file_name]
        if "maps" in self.kinds:
            image = Image.fromarray(class_map)
            image.putpalette(self._colours.reshape(-1).tolist())
            save_png(image, self.directory / "maps" / name)
        if "overlays" in self.kinds:
            pixels = decode_photo(photo.path.read_bytes(), photo.size, photo.size)
            save_png(Image.fromarray(overlay(pixels, class_map, self._colours)), self.directory / "overlays" / name)
        objects = coco_results(photo.image_id, class_map, self._category_ids) if "coco" in self.kinds else []
        return photo, class_map, objects


class ResultsWriter:
    """A COCO results file, list entry by list entry; it is there when the block succeeds."""

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
    """One entry of COCO's results format for each class in `class_map` uint8 (H, W) that `ids` gives a category id."""
    entries = []
    for class_id in np.unique(class_map).tolist():
        if class_id in ids:
            rle = coco_mask.encode(np.asfortranarray(class_map == class_id))
            segmentation = {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
            entry = {"image_id": image_id, "category_id": ids[class_id], "segmentation": segmentation, "score": 1.0}
            entries.append(entry)
    return entries


def category_ids(classes: dict[int, str], *known: dict[str, int]) -> dict[int, int]:
    """The category ids of `classes`, names by class id: those of the first of `known` that has all, else 1, 2, …

    Never some of one and some of another: two classes could get the same id.
    """
    for ids in known:
        if all(name in ids for name in classes.values()):
            return {class_id: ids[name] for class_id, name in classes.items()}
    return {class_id: number for number, class_id in enumerate(classes, start=1)}


def png_names(file_names: Sequence[str]) -> dict[str, str]:
    """The photos' names ending in .png: after their own suffix where two photos differ in that alone."""
    stems = {name: str(Path(name).with_suffix("")) for name in file_names}
    counts = Counter(stems.values())
    return {name: f"{stem if counts[stem] == 1 else name}.png" for name, stem in stems.items()}


def save_png(image: Image.Image, path: Path) -> None:
    """The file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    image.save(temporary, format="PNG")
    os.replace(temporary, path)
