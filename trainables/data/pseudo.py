"""Pseudo-labels as a COCO data set: the votes of an ensemble on photos without labels."""

import dataclasses
import hashlib
import json
import os
import posixpath
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pycocotools import mask as coco_mask

from trainables.data.annotations import checks
from trainables.data.annotations.masks import IGNORE_INDEX
from trainables.data.coco import load_dataset
from trainables.data.dataset import Category, Dataset
from trainables.data.layout import is_dataset
from trainables.errors import UserError
from trainables.files import new_directory

IGNORE = "ignore"  # the category of pixels that are neither trained on nor scored
LEAST = 0.1
PseudoItem = tuple[Path, str, np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class PseudoReport:
    """The numbers of photos that were `kept` and `dropped`, and the pixels of those kept, by class and `ignored`."""

    class_names: tuple[str, ...]
    kept: int
    dropped: int
    pixels: tuple[int, ...]
    ignored: int

    @property
    def ignored_share(self) -> float:
        """Return the share of ignored pixels in the photos that were kept; 0 where none was kept."""
        return self.ignored / max(1, self.ignored + sum(self.pixels))

    def summary(self, labelled: Sequence[int] | None = None) -> str:
        """Return lines of text: the counts, and each class's share beside that of the `labelled` pixels, by class."""
        beside = "" if labelled is None else ", and of the labelled holdout to compare with"
        lines = [f"{self.kept} photos kept, {self.dropped} dropped, {100 * self.ignored_share:.1f} % of pixels ignored"]
        lines.append(f"Share of each class in the pixels of these labels{beside}:")
        width = max(map(len, self.class_names))
        for index, name in enumerate(self.class_names):
            line = f"  {name:<{width}} {_percent(self.pixels, index)}"
            lines.append(line if labelled is None else f"{line} {_percent(labelled, index)}")
        return "\n".join(lines)


def _percent(counts: Sequence[int], index: int) -> str:
    return f"{100 * counts[index] / max(1, sum(counts)):6.2f} %"


def write_pseudo(
    out: Path | str,
    class_names: Sequence[str],
    items: Iterable[PseudoItem],
    *,
    agree: int,
    least: float = LEAST,
    unlabelled: Literal["background", "ignore"] = "background",
) -> PseudoReport:
    """Write the data set `out`: train.json and the photos below out/images. It appears whole or not at all.

    train.json is plain COCO. Its categories are the labelled data set's by name, with ids from 1 on in their order, and
    one more, "ignore". An image has at most one annotation per category, a compressed RLE of all pixels of that class
    (of "ignore": all that are 255), and none overlap. Pixels without annotation are background, as they are in the
    labelled data set; with `unlabelled` "ignore" every pixel is annotated. A program that knows nothing of this sees
    one more class. Photos are hard links where the file system allows it, else copies. One photo at a time is in
    memory.

    Args:
        out: The directory to write.
        class_names: The names of the labelled data set's classes, by class id.
        items: For each photo its path, its file name below out/images, its class map uint8 (H, W), 255 ignored, and the
            number of members that vote for the winner, uint8 (H, W).
        agree: Pixels with fewer votes for the winner than this become 255.
        least: A photo of which a smaller share of pixels is left is dropped.
        unlabelled: What pixels without annotation are in the labelled data set.

    Raises:
        UserError: `out` exists, a file name leads out of it or comes twice, a class map does not fit, or no photo is
            left.
    """
    out = Path(out).absolute()
    check_class_names(class_names)
    with new_directory(out) as building, (building / "train.json").open("w") as file:
        writer = _Writer(building, file, tuple(class_names), first=int(unlabelled == "background"))
        for photo, file_name, class_map, agreement in items:
            writer.add(photo, file_name, _agreed(file_name, class_map, agreement, agree, len(class_names)), least)
        return writer.close()


def check_class_names(class_names: Sequence[str]) -> None:
    """Raise UserError where a class has the name of pixels without a pseudo-label."""
    if IGNORE in class_names:
        raise UserError(f"a class is named {IGNORE!r}, which is the name of pixels without a pseudo-label: rename it")


def _agreed(name: str, class_map: np.ndarray, agreement: np.ndarray, agree: int, num_classes: int) -> np.ndarray:
    """Return the class map with 255 where too few members agree."""
    if class_map.shape != agreement.shape or class_map.ndim != 2:
        raise UserError(f"{name}: its class map is {class_map.shape}, its agreement {agreement.shape}: both are (H, W)")
    kept = np.where(agreement >= agree, class_map, IGNORE_INDEX).astype(np.uint8)
    strange = kept[(kept >= num_classes) & (kept != IGNORE_INDEX)]
    if strange.size:
        raise UserError(f"{name}: its class map has class {strange[0]}, but there are {num_classes}")
    return kept


class _Writer:
    """A writer of train.json that takes photo after photo: annotations come first, and the list of images after
    them.
    """

    def __init__(self, directory: Path, file: Any, class_names: tuple[str, ...], *, first: int) -> None:
        self._directory, self._file, self._names, self._first = directory, file, class_names, first
        named = [*class_names[first:], IGNORE]
        self._category_of = {first + index: index + 1 for index in range(len(named) - 1)} | {IGNORE_INDEX: len(named)}
        self._images: dict[str, dict[str, Any]] = {}
        self._counts = np.zeros(256, np.int64)
        self._annotations = self._dropped = 0
        categories = [{"id": index + 1, "name": name} for index, name in enumerate(named)]
        file.write(f'{{"categories": {json.dumps(categories)},\n"annotations": [')

    def add(self, photo: Path, file_name: str, class_map: np.ndarray, least: float) -> None:
        counts = np.bincount(class_map.reshape(-1), minlength=256)
        if counts[:IGNORE_INDEX].sum() < least * class_map.size:
            self._dropped += 1
            return
        name = self._place(Path(photo), file_name)
        height, width = class_map.shape
        number = len(self._images) + 1
        self._images[name] = {"id": number, "file_name": name, "height": height, "width": width}
        self._counts += counts
        for value in np.flatnonzero(counts):
            if int(value) in self._category_of:
                self._annotate(number, self._category_of[int(value)], class_map == value)

    def _place(self, photo: Path, file_name: str) -> str:
        """Put the photo below images/, and return its name relative to the data set."""
        name = posixpath.normpath(posixpath.join("images", file_name))
        if not name.startswith("images/") or name in self._images:
            fault = "comes twice" if name in self._images else "leads out of the data set"
            raise UserError(f"the file name {file_name!r} {fault}: pseudo-label photos that lie below one directory")
        target = self._directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(photo.resolve(), target)
        except OSError:  # another file system, or one without links
            shutil.copyfile(photo, target)
        return name

    def _annotate(self, image_id: int, category_id: int, pixels: np.ndarray) -> None:
        rle = coco_mask.encode(np.asfortranarray(pixels, dtype=np.uint8))
        self._annotations += 1
        annotation = {
            "id": self._annotations,
            "image_id": image_id,
            "category_id": category_id,
            "segmentation": {"size": rle["size"], "counts": rle["counts"].decode("ascii")},
            "area": int(coco_mask.area(rle)),
            "bbox": coco_mask.toBbox(rle).tolist(),
            "iscrowd": 0,
        }
        self._file.write(("\n" if self._annotations == 1 else ",\n") + json.dumps(annotation))

    def close(self) -> PseudoReport:
        if not self._counts[self._first : len(self._names)].any():
            raise UserError(
                f"no photo has a pseudo-label of any class ({self._dropped} were dropped, since too few members agree "
                "on them): ask fewer members to agree, or for a smaller share of pixels"
            )
        self._file.write(f'],\n"images": {json.dumps(list(self._images.values()))}}}\n')
        self._file.flush()
        os.fsync(self._file.fileno())
        by_class = tuple(self._counts[: len(self._names)].tolist())
        return PseudoReport(self._names, len(self._images), self._dropped, by_class, int(self._counts[IGNORE_INDEX]))


def load_pseudo(
    root: Path | str,
    class_names: Sequence[str],
    *,
    unlabelled: Literal["background", "ignore"],
    cache_dir: Path | str | None = None,
) -> Dataset:
    """Return the data set of pseudo-labels with the class ids of the labelled one.

    Categories are matched by name; "ignore" is 255, and may be missing. The fingerprint depends on these class ids.

    Args:
        root: The directory of the pseudo-labels.
        class_names: The names of the labelled data set's classes, by class id.
        unlabelled: What pixels without annotation are in the labelled data set.
        cache_dir: The directory that remembers the photos' hashes.

    Raises:
        UserError: Only one of the two data sets has some category, or `load_dataset` raises it.
    """
    root = Path(root).absolute()
    if not is_dataset(root):
        raise UserError(f"{root} holds no pseudo-labels: there is no train.json; give --pseudo the directory of one")
    dataset = load_dataset(root, unlabelled=unlabelled, cache_dir=cache_dir)
    class_ids = {name: index for index, name in enumerate(class_names) if index or unlabelled == "ignore"}
    class_ids[IGNORE] = IGNORE_INDEX
    found = {category.name for category in dataset.categories}
    for name in [*(found - class_ids.keys()), *(class_ids.keys() - found - {IGNORE})]:
        where = "the labelled data set" if name in found else str(root / "train.json")
        raise UserError(f"category {name!r} is missing from {where}: pseudo-labels need the same categories, by name")
    categories = tuple(Category(one.id, one.name, class_ids[one.name]) for one in dataset.categories)
    classes = json.dumps([dataset.fingerprint, [(one.id, one.class_id) for one in categories]])
    fingerprint = hashlib.sha256(classes.encode()).hexdigest()
    expected = checks.doubtful_names(dataset.file("train"), [IGNORE], unlabelled=unlabelled)
    problems = tuple(one for one in dataset.problems if one not in expected)
    return dataclasses.replace(dataset, categories=categories, fingerprint=fingerprint, problems=problems)
