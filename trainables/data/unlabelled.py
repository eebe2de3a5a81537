"""Photos to predict: those of a directory, or of the `images` of a COCO file; no annotation is looked at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.data import checks
from trainables.data.checks import Problem
from trainables.data.coco import ImageRecord, photo_path
from trainables.data.photos import PhotoError, inspect_header
from trainables.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".mpo")


@dataclass(frozen=True)
class Photo:
    """A photo file and its size in pixels, as it is shown; `image_id` is its COCO id, or its number from 1."""

    path: Path
    file_name: str
    image_id: int
    height: int
    width: int

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


@dataclass(frozen=True)
class PhotoList:
    """Photos in the order of their source, and its categories: id by name, empty where it has none."""

    source: Path
    photos: tuple[Photo, ...]
    category_ids: dict[str, int]


def list_photos(source: Path | str) -> PhotoList:
    """The photos of a directory, at any depth, by name; or those of a COCO file such as test.json, in its order.

    Names in the file mean photos below its own directory, or below images/ there. Only headers are read. Raises
    UserError, listing every fault found, for what is no image or of another size than stated, and where there is none.
    """
    source = Path(source).expanduser().absolute()
    if source.is_dir():
        return _of_directory(source)
    if not source.is_file():
        raise UserError(f"--images {source}: there is neither a directory nor a file; give photos or a COCO file")
    return _of_coco(source)


def as_photos(records: Iterable[ImageRecord]) -> tuple[Photo, ...]:
    """Labelled images, to be predicted as others are."""
    return tuple(Photo(one.path, one.file_name, one.image_id, one.height, one.width) for one in records)


def _of_directory(directory: Path) -> PhotoList:
    paths = sorted(path for path in directory.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise UserError(f"--images {directory} holds no photo ({', '.join(SUFFIXES)})")
    photos, faults = [], []
    for number, path in enumerate(paths, start=1):
        try:
            height, width = inspect_header(path).shown_size
        except PhotoError as error:
            faults.append(Problem(str(path.relative_to(directory)), None, str(error), "remove or restore it"))
            continue
        photos.append(Photo(path, path.relative_to(directory).as_posix(), number, height, width))
    checks.raise_if_any(directory, faults)
    return PhotoList(directory, tuple(photos), {})


def _of_coco(file: Path) -> PhotoList:
    root, content = file.parent, checks.read_json(file.parent, file.name)
    checks.raise_if_any(root, checks.check_structure(file.name, content, labels_optional=True))
    listed = content.get("categories", [])
    checks.raise_if_any(
        root, [*checks.check_images(file.name, content["images"]), *checks.check_categories(file.name, listed)]
    )
    photos = [_listed(root, entry) for entry in content["images"]]
    checks.raise_if_any(root, _faults(file.name, photos))
    return PhotoList(file, tuple(photos), {category["name"].strip(): category["id"] for category in listed})


def _listed(root: Path, entry: dict[str, Any]) -> Photo:
    path = photo_path(root, entry["file_name"])
    return Photo(path, entry["file_name"], entry["id"], int(entry["height"]), int(entry["width"]))


def _faults(file: str, photos: Sequence[Photo]) -> list[Problem]:
    faults, first = [], {}
    for photo in photos:
        other = first.setdefault(photo.file_name, photo)
        if other is not photo:
            what = f"{photo.file_name} is also image {other.image_id}"
            faults.append(Problem(file, photo.image_id, what, "what is predicted has the photo's name: list it once"))
        try:
            fact = inspect_header(photo.path)
        except PhotoError as error:
            fact = error
        faults += checks.check_photo(file, photo.image_id, photo.file_name, photo.size, fact)
    return faults
