"""Writes what a reader imported as a data set of ours: train.json, val.json, test.json and images/."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from trainables.data.annotations.annotation import sound_segmentation
from trainables.data.annotations.checks import Problem, is_background
from trainables.data.annotations.masks import area_of, outside, to_rle
from trainables.data.coco import load_dataset
from trainables.data.dataset import Dataset
from trainables.data.formats.imported import ANY_SIZE, SKIPPED, Imported, LabelledPhoto, Shape
from trainables.data.layout import SPLITS
from trainables.data.photos.photo_files import PhotoError, decode_photo, inspect_header
from trainables.errors import UserError
from trainables.files import new_directory

SHOWN = 20  # faults that a message lists


@dataclass(frozen=True)
class ImportReport:
    """The data set as it was read back, and how many photos and shapes each split has."""

    dataset: Dataset
    photos: dict[str, int]
    shapes: dict[str, int]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def write_dataset(
    out: Path, imported: Imported, *, copy: bool = False, progress: Callable[[int], None] | None = None
) -> ImportReport:
    """Write a data set, which appears whole or not at all, and read it back as a search would.

    Photos go to images/<split>/<their name>. A shape that is broken or covers no pixel is skipped, and listed in the
    report.

    Args:
        out: The directory to write.
        imported: What was read from another format.
        copy: Whether photos are copied; otherwise they are hard links where the file system allows it.
        progress: A function that is called with the number of photos done.

    Raises:
        UserError: `out` exists, no photo is labelled for training, two photos have one name, labels are for a photo of
            another size, or the result is no usable data set (see `load_dataset`). Nothing is left behind then.
    """
    out = Path(out).absolute()
    with new_directory(out) as building:
        writer = _Writer(building, imported, copy)
        for done, photo in enumerate(imported.photos, start=1):
            writer.add(photo)
            if progress is not None:
                progress(done)
        writer.check(out)
        writer.close()
        dataset = _read_back(building, out, imported)
    notes = tuple(imported.notes)
    return ImportReport(dataset, writer.photos, writer.shapes, tuple(imported.problems), notes)


def _read_back(building: Path, out: Path, imported: Imported) -> Dataset:
    """Return the data set in `building`, which is to become `out`. Raises UserError where a search could not use it."""
    try:
        return load_dataset(building, unlabelled=imported.unlabelled, max_megapixels=ANY_SIZE)
    except UserError as error:
        told = str(error).replace(str(building), str(out))
        skipped = "".join(f"\n  {problem}" for problem in imported.problems[:10])
        raise UserError(
            f"{out} is not written, because a search could not use it; correct what was to be imported: {told}"
            + "".join(f"\nnote: {note}" for note in imported.notes)
            + (f"\nskipped in the import, {len(imported.problems)} in all, beginning with:{skipped}" if skipped else "")
        ) from error


class _Writer:
    def __init__(self, directory: Path, imported: Imported, copy: bool) -> None:
        self._directory, self._imported, self._copy = directory, imported, copy
        cut = imported.layered and imported.unlabelled == "background"
        self._background = {key for key, name in imported.categories.items() if cut and is_background(name)}
        self._contents = {split: {"images": [], "annotations": []} for split in SPLITS}
        self._faults: list[Problem] = []
        self._holes = 0
        self.photos: Counter[str] = Counter()
        self.shapes: Counter[str] = Counter()

    def add(self, photo: LabelledPhoto) -> None:
        content = self._contents[photo.split]
        name = f"images/{photo.split}/{photo.file_name}"
        try:
            faults = self._place(photo, self._directory / name)
        except PhotoError as error:
            what = f"its photo {photo.file_name} {error}"
            if self._imported.skip_photos:
                self._imported.problems.append(Problem(photo.labels, None, what, "left out, with its annotations"))
                return
            faults = [Problem(photo.labels, None, what, error.remedy or "restore it, or remove it and its labels")]
        if faults:
            self._faults += faults
            return
        self.photos[photo.split] += 1
        number = self.photos[photo.split]
        entry = {"id": number, "file_name": name, "height": photo.height, "width": photo.width}
        content["images"].append(entry if photo.group is None else entry | {"group": photo.group})
        for category_id, segmentation, rle in self._sound(photo):
            self.shapes[photo.split] += 1
            content["annotations"].append(
                {
                    "id": self.shapes[photo.split],
                    "image_id": number,
                    "category_id": category_id,
                    "segmentation": segmentation,
                    "area": area_of(rle),
                    "bbox": coco_mask.toBbox(rle).tolist(),
                    "iscrowd": 0,
                }
            )

    def _place(self, photo: LabelledPhoto, target: Path) -> list[Problem]:
        """Put the photo in its place; return what is wrong with the size that its labels are for.

        Raises PhotoError where the photo cannot be read.
        """
        if target.exists():
            raise UserError(f"{photo.labels}: the photo {photo.file_name} comes twice in {photo.split}; list it once")
        target.parent.mkdir(parents=True, exist_ok=True)
        if photo.content is not None:
            target.write_bytes(photo.content)
            return _misfits(photo, target)
        faults = _misfits(photo, photo.path)
        if faults:
            return faults
        if self._imported.skip_photos:
            decode_photo(photo.path.read_bytes(), photo_size(photo), (1, 1))  # nothing else notices that it is cut off
        try:
            if not self._copy:
                os.link(photo.path.resolve(), target)
        except OSError:  # another file system, or one without links
            pass
        if not target.exists():
            shutil.copyfile(photo.path, target)
        return []

    def _sound(self, photo: LabelledPhoto) -> Iterator[tuple[int, Any, dict]]:
        """Yield (category id, segmentation, RLE) of the shapes that can be used."""
        painted = []
        for shape in photo.shapes:
            segmentation, faults = sound_segmentation(shape.segmentation, photo.height, photo.width)
            for fault in faults:
                self._skip(photo, shape, fault)
            if segmentation is not None:
                painted.append((replace(shape, segmentation=segmentation), to_rle(segmentation, *photo_size(photo))))
        if self._imported.layered and len(painted) > 1:
            painted = _visible(painted)
        for shape, rle in painted:
            if shape.category_id is None or shape.category_id in self._background:
                self._holes += 1
            elif area_of(rle) == 0:
                self._skip(photo, shape, "covers no pixel, or is wholly hidden by shapes above it")
            else:
                yield shape.category_id, shape.segmentation, rle

    def _skip(self, photo: LabelledPhoto, shape: Shape, fault: str) -> None:
        self._imported.problems.append(Problem(photo.labels, shape.name, fault, SKIPPED))

    def check(self, out: Path) -> None:
        """Raise UserError, with the files of the labels, where these do not fit their photos."""
        if self._faults:
            lines = [f"  {fault}" for fault in self._faults[:SHOWN]]
            more = [f"  … and {len(self._faults) - SHOWN} more like these"] if len(self._faults) > SHOWN else []
            raise UserError("\n".join([f"{out} is not written, since labels do not fit their photos:", *lines, *more]))

    def close(self) -> None:
        if not self.photos["train"]:
            found = ", ".join(f"{count} {split}" for split, count in self.photos.items()) or "none"
            raise UserError(f"no photo is for training (found: {found}); a data set needs a part named train")
        classes = {key: name for key, name in self._imported.categories.items() if key not in self._background}
        categories = [{"id": key, "name": name} for key, name in sorted(classes.items())]
        if self._holes:
            what = "made holes in what is below them, and are no annotations"
            self._imported.notes.append(f"the shapes of the background ({self._holes}) {what}")
        for split, content in self._contents.items():
            if content["images"]:
                if split == "test" and not content["annotations"]:
                    del content["annotations"]  # its labels are not known, rather than empty
                text = json.dumps(content | {"categories": categories})
                (self._directory / f"{split}.json").write_text(text)


def _misfits(photo: LabelledPhoto, path: Path) -> list[Problem]:
    """Return what is wrong with the size that a photo's labels are for. Raises PhotoError where it cannot be read."""
    facts = inspect_header(path, max_megapixels=ANY_SIZE)
    if facts.fits(*photo_size(photo)):
        return []
    what = (
        f"is for {photo.width}x{photo.height} pixels, but its photo {photo.file_name} has {facts.width}x{facts.height}"
    )
    return [Problem(photo.labels, None, what, "export it again, or restore the photo that it was drawn on")]


def photo_size(photo: LabelledPhoto) -> tuple[int, int]:
    return photo.height, photo.width


def _visible(painted: Sequence[tuple[Shape, dict]]) -> list[tuple[Shape, dict]]:
    """Cut from each shape what later ones hide; a shape that nothing hides stays as it is.

    Run lengths are cut, not pixels, which costs what the outlines cost: a photo of 12 megapixels may have 90 shapes.
    """
    covered: dict | None = None
    result = []
    for shape, rle in reversed(painted):
        seen = rle
        if covered is not None and area_of(coco_mask.merge([rle, covered], intersect=True)):
            seen = coco_mask.merge([rle, outside(covered)], intersect=True)
            shape = replace(shape, segmentation=as_json(seen))
        covered = rle if covered is None else coco_mask.merge([covered, rle])
        result.append((shape, seen))
    return result[::-1]


def as_json(rle: dict) -> dict[str, Any]:
    """Return a compressed RLE with its counts as text, as JSON takes it."""
    return {"size": list(map(int, rle["size"])), "counts": rle["counts"].decode("ascii")}
