"""Which format a directory or file looks like, by names and the first bytes alone."""

import glob
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

SAMPLE = 5  # masks of a folder, one of which has its photo beside it
LOOKED_AT = 200  # entries of a directory, which may hold a million files
YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
IMAGE_FOLDERS = ("images", "photos", "img", "imgs", "JPEGImages")
ROBOFLOW_FILES = "*/_annotations.coco*.json"
ROBOFLOW_CLASSES = "_classes.csv"  # beside masks of Roboflow
MASK_FOLDERS = ("masks", "mask", "labels", "annotations", "SegmentationClass")
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")  # of files that keep the values of pixels
MASK_ENDINGS = ("_mask", "_masks", "_label", "_labels", "_gt", "_seg", "_L")  # of masks that lie beside their photos
CITYSCAPES_PHOTOS = ("leftImg8bit", "imgsFine/leftImg8bit")  # the latter in exports of CVAT
SPLIT_FOLDERS = {
    "train": "train", "training": "train", "trainval": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def split_of(name: str) -> str | None:
    """Return the split that a name stands for, in any capitals and maybe with a number behind it, as in Val2017."""
    return SPLIT_FOLDERS.get(re.sub(r"[\W_]*\d+$", "", name.strip().lower()))


def split_places(source: Path) -> list[Path]:
    """Return a directory and those in it that are named after a split."""
    return [source, *(source / name for name in _folders(source) if split_of(name))]


def folder_of(place: Path, names: Sequence[str]) -> Path | None:
    """Return the folder in `place` with one of the names, the first of them that is there, in any capitals."""
    there = {name.lower(): place / name for name in _folders(place)}
    return next((there[name.lower()] for name in names if name.lower() in there), None)


def ending_beside(place: Path) -> str | None:
    """Return the ending that names of masks in a folder have behind those of photos, as in a.jpg and a_mask.png."""
    for ending in MASK_ENDINGS:
        masks = [path for path in _first(place, f"*{ending}.*") if path.suffix.lower() in MASK_SUFFIXES]
        if any(_first(place, f"{glob.escape(path.stem.removesuffix(ending))}.*") for path in masks[:SAMPLE]):
            return ending
    return None


def _folders(place: Path) -> list[str]:
    """Return the names of the folders in a directory, which may hold a million files beside them."""
    if not place.is_dir():
        return []
    with os.scandir(place) as entries:  # says what an entry is without a look at each file
        return sorted(entry.name for entry in entries if entry.is_dir())


def format_of(source: Path) -> str | None:
    """Return the name of the format that `source` looks like; None where it looks like none of them."""
    return next((name for name, looks_like in _SIGNS.items() if looks_like(source)), None)


def _roboflow(source: Path) -> bool:
    return source.is_dir() and any(source.glob(ROBOFLOW_FILES))


def _coco(source: Path) -> bool:
    return source.is_dir() and any(_first(source, "annotations/*.json"))


def _yolo(source: Path) -> bool:
    return source.is_dir() and any((source / name).is_file() for name in YAML_FILES)


def _cityscapes(source: Path) -> bool:
    return any((source / name).is_dir() for name in CITYSCAPES_PHOTOS) and (source / "gtFine").is_dir()


def _voc(source: Path) -> bool:
    return (source / "JPEGImages").is_dir() and (source / "SegmentationClass").is_dir()


def _ade20k(source: Path) -> bool:
    return all((source / folder / "training").is_dir() for folder in ("images", "annotations"))


def _masks(source: Path) -> bool:
    for place in split_places(source):
        masks = folder_of(place, MASK_FOLDERS)
        found = _first(masks, "**/*.*") if masks and folder_of(place, IMAGE_FOLDERS) else []
        if any(path.suffix.lower() in MASK_SUFFIXES for path in found) or (place / ROBOFLOW_CLASSES).is_file():
            return True
    return False


def _cvat(source: Path) -> bool:
    files = _first(source, "*.xml") if source.is_dir() else [source] if source.suffix == ".xml" else []
    return any(b"<annotations" in _beginning(file) for file in files)


def _labelme(source: Path) -> bool:
    return source.is_dir() and any(
        b'"shapes"' in (text := _beginning(file, 4_000_000)) and b'"imagePath"' in text
        for file in _first(source, "**/*.json")[:3]
    )


def _label_studio(source: Path) -> bool:
    files = _first(source, "*.json") if source.is_dir() else [source] if source.suffix == ".json" else []
    return any(_beginning(file).lstrip().startswith(b"[") for file in files)


_SIGNS: dict[str, Callable[[Path], bool]] = {
    "roboflow": _roboflow,
    "yolo": _yolo,
    "cityscapes": _cityscapes,
    "voc": _voc,
    "ade20k": _ade20k,
    "coco": _coco,
    "cvat": _cvat,
    "masks": _masks,
    "labelme": _labelme,
    "label-studio": _label_studio,
}
FORMATS = tuple(_SIGNS)


def _first(source: Path, pattern: str) -> list[Path]:
    """Return files that match, of the first entries that are met."""
    found = []
    for looked_at, path in enumerate(source.glob(pattern)):
        if looked_at == LOOKED_AT:
            break
        if path.is_file():
            found.append(path)
    return sorted(found)


def _beginning(file: Path, size: int = 2000) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(size)
    except OSError:
        return b""
