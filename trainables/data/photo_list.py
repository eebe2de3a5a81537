"""The photos to predict: those of a directory, or of the `images` of a COCO file, whose annotations are not used."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.annotations import checks
from trainables.data.annotations.checks import Problem
from trainables.data.coco import ambiguous_turn
from trainables.data.dataset import ImageRecord
from trainables.data.layout import PhotoFinder, photos_of
from trainables.data.photos.frames import say_several
from trainables.data.photos.names import SUFFIXES
from trainables.data.photos.photo_files import MAX_MEGAPIXELS, PhotoError, PhotoFacts, inspect_header
from trainables.data.photos.tones import say_whites
from trainables.errors import UserError, printable
from trainables.files import files_below

_NAMED = 3  # files left out that a note names


@dataclass(frozen=True)
class Photo:
    """A photo file and its size in pixels, as it is displayed; `image_id` is its COCO id, or its number from 1."""

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
    """Photos in the order of their source, and its categories: id by name, empty where it has none.

    `notes` are sentences to show: what in a directory is left out, and what is uncertain about photos.
    """

    source: Path
    photos: tuple[Photo, ...]
    category_ids: dict[str, int]
    notes: tuple[str, ...] = ()


def list_photos(source: Path | str, *, max_megapixels: float = MAX_MEGAPIXELS) -> PhotoList:
    """Return the photos of a directory, at any depth, by name; or those of a COCO file such as test.json, in its order.

    In a directory, links to folders are followed, and hidden files and folders are not looked at. Names in a COCO file
    mean photos below its own directory, or where trainables.data.layout looks for them. Of photos of 8 bits only
    headers are read.

    Raises UserError, listing every fault found, for what is no image, of another size than stated or of more than
    `max_megapixels`, and where there is no photo.
    """
    source = Path(source).expanduser().absolute()
    if source.is_dir():
        return _of_directory(source, max_megapixels)
    if not source.is_file():
        raise UserError(f"--images {source}: there is neither a directory nor a file; give photos or a COCO file")
    if source.suffix.lower() != ".json" and not _begins_as_json(source):
        raise UserError(f"--images {source} is no COCO file: give the directory that the photos are in, or a COCO file")
    return _of_coco(source, max_megapixels)


def _begins_as_json(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(16).lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"{")  # byte order marks, blanks
    except OSError as error:
        raise UserError(f"--images {file} cannot be read ({error.strerror}): check its permissions") from error


def as_photos(records: Iterable[ImageRecord]) -> tuple[Photo, ...]:
    """Return labelled images as photos, which can be predicted like others."""
    return tuple(Photo(one.path, one.file_name, one.image_id, one.height, one.width) for one in records)


def _of_directory(directory: Path, max_megapixels: float) -> PhotoList:
    files = sorted(files_below(directory))
    paths = [path for path in files if path.suffix.lower() in SUFFIXES and path.is_file()]
    taken = set(paths)
    left_out = _left_out(directory, [path for path in files if path not in taken])
    if not paths:
        raise UserError(f"--images {directory} holds no photo ({', '.join(SUFFIXES)}){left_out and f': {left_out}'}")
    photos, faults, looked_at = [], [], []
    for number, path in enumerate(paths, start=1):
        name = path.relative_to(directory).as_posix()
        try:
            name.encode()
            facts = inspect_header(path, max_megapixels=max_megapixels)
        except UnicodeEncodeError:
            faults.append(Problem(printable(name), None, "has a name that is not in UTF-8", "rename it"))
        except PhotoError as error:
            faults.append(Problem(name, None, str(error), error.remedy or "remove or restore it"))
        else:
            photos.append(Photo(path, name, number, *facts.shown_size))
            looked_at.append(facts)
    checks.raise_if_any(directory, faults)
    notes = ([f"left out of {directory}: {left_out}"] if left_out else []) + _notes(photos, looked_at)
    return PhotoList(directory, tuple(photos), {}, tuple(notes))


def _left_out(directory: Path, paths: Sequence[Path]) -> str:
    """Return a sentence on the files, by kind and with some names, that are no readable photos; empty without any."""
    kinds: dict[str, list[str]] = {}
    for path in paths:
        kind = path.suffix.lower() or "without suffix"
        if path.is_symlink() and not path.exists():
            kind = "broken links"
        elif not path.is_file():
            kind = "no regular files"
        kinds.setdefault(kind, []).append(printable(path.relative_to(directory).as_posix()))
    counts = Counter({kind: len(names) for kind, names in kinds.items()})
    told = [
        f"{count} {kind} ({', '.join(kinds[kind][:_NAMED])}{', …' if count > _NAMED else ''})"
        for kind, count in counts.most_common()
    ]
    return ", ".join(told)


def _of_coco(file: Path, max_megapixels: float) -> PhotoList:
    finder = photos_of(file)
    content, faults = checks.read_coco(file, file.name, finder.path, labels_optional=True)
    checks.raise_if_any(file.parent, faults)
    photos = [
        Photo(finder.path(one["file_name"]), one["file_name"], one["id"], int(one["height"]), int(one["width"]))
        for one in content["images"]
    ]
    looked_at = [_look(photo, max_megapixels) for photo in photos]
    checks.raise_if_any(file.parent, _faults(file.name, photos, looked_at, finder))
    notes = [
        str(ambiguous_turn(file.name, photo.image_id, photo.file_name))
        for photo, fact, entry in zip(photos, looked_at, content["images"])
        if fact.ambiguous or entry.get(checks.TURNED)
    ]
    notes += _notes(photos, looked_at)
    return PhotoList(file, tuple(photos), {one["name"]: one["id"] for one in content["categories"]}, tuple(notes))


def _notes(photos: Sequence[Photo], looked_at: Sequence[PhotoFacts]) -> list[str]:
    """Return sentences on how some of the photos are read."""
    whites = say_whites((photo.file_name, fact.white) for photo, fact in zip(photos, looked_at))
    return whites + say_several((photo.file_name, fact.several) for photo, fact in zip(photos, looked_at))


def _look(photo: Photo, max_megapixels: float) -> PhotoFacts | PhotoError:
    try:
        return inspect_header(photo.path, max_megapixels=max_megapixels)
    except PhotoError as error:
        return error


def _faults(
    file: str, photos: Sequence[Photo], looked_at: Sequence[PhotoFacts | PhotoError], finder: PhotoFinder
) -> list[Problem]:
    faults, first = [], {}
    for photo, fact in zip(photos, looked_at):
        other = first.setdefault(photo.path, photo)
        if other is not photo:
            what = f"{photo.file_name} is also image {other.image_id}"
            faults.append(Problem(file, photo.image_id, what, "what is predicted has the photo's name: list it once"))
        hint = finder.hint(photo.file_name) if isinstance(fact, PhotoError) and not os.path.exists(photo.path) else ""
        faults += checks.check_photo(file, photo.image_id, photo.file_name, photo.size, fact, hint)
    return faults
