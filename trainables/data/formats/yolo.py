"""YOLO's segmentation labels: data.yaml, and a text file a photo with one polygon a line."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml

from trainables.data.annotations.checks import Problem
from trainables.data.formats.detection import YAML_FILES
from trainables.data.formats.imported import (
    ANY_SIZE,
    SKIPPED,
    Imported,
    ImportOptions,
    LabelledPhoto,
    Shape,
    read_lines,
)
from trainables.data.photos.names import SUFFIXES, existing
from trainables.data.photos.photo_files import PhotoError, inspect_header
from trainables.errors import UserError
from trainables.files import files_below


class _TextLoader(yaml.SafeLoader):
    """Reads each value as text, so that a class "no" is not False; only null stays null."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in pairs if tag == "tag:yaml.org,2002:null"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_yolo(source: Path, options: ImportOptions) -> Imported:
    """Return the photos of the parts train, val and test of data.yaml, with the polygons of their label files.

    The labels of a/images/b.jpg are a/labels/b.txt, or b.txt beside it: lines of a class number and the x and y of each
    point, as shares of width and height. A photo without such a file, or with an empty one, has no object. The
    coordinates are of the photo as it is shown, turned as its EXIF orientation says.

    Raises UserError for a line that is no numbers, for a class number that data.yaml does not name, and for a part that
    is not there, unless it is the test, which many files name without having it.
    """
    file = next((source / name for name in YAML_FILES if (source / name).is_file()), None)
    if file is None:
        raise UserError(
            f"{source} has no {' or '.join(YAML_FILES)}: it names the classes and the parts of the data set"
        )
    content = _read_yaml(file)
    names = _names(file, content)
    if "kpt_shape" in content:
        raise UserError(
            f"{file}: has kpt_shape, so its labels are boxes with points, which are no masks; export polygons"
        )
    problems: list[Problem] = []
    notes: list[str] = []
    listed = [(split, path) for split in ("train", "val", "test") for path in _listed(file, content, split, notes)]
    photos = _photos(source, listed, names, problems, notes)
    return Imported(names, photos, len(listed), problems=problems, notes=notes)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text("utf-8-sig"), _TextLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: is no YAML ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: has no keys; YOLO's has names, train and val")
    return content


def _names(file: Path, content: dict[str, Any]) -> dict[int, str]:
    names = content.get("names")
    if isinstance(names, list):
        names = {str(number): name for number, name in enumerate(names)}
    if not isinstance(names, dict) or not names or not all(map(_is_named, names.items())):
        raise UserError(f"{file}: names is {names!r}, expected a list of class names, or names by class number")
    return {int(key): name for key, name in names.items()}


def _is_named(entry: tuple[Any, Any]) -> bool:
    number, name = entry
    return isinstance(number, str) and number.isdecimal() and isinstance(name, str)


def _listed(file: Path, content: dict[str, Any], split: str, notes: list[str]) -> list[Path]:
    """Return the photos of a split: of directories, or of text files that list photos.

    `notes` grows by a sentence on a test that is not there.
    """
    key = "valid" if split == "val" and "val" not in content else split
    places = content.get(key) or []
    root = file.parent / str(content.get("path") or "")
    root = root if os.path.isdir(root) else file.parent  # False, too, of a name longer than the file system allows
    photos = []
    for place in [places] if isinstance(places, str) else places:
        found = _place(file, root, str(place))
        if found is None:
            missing = f"{file}: {key} is {place}, which is not there (looked below {root})"
            if split != "test":
                raise UserError(f"{missing}; correct the path")
            notes.append(f"{missing}; it is left out")
        elif found.is_dir():
            photos += [path for path in sorted(files_below(found)) if path.suffix.lower() in SUFFIXES]
        else:
            lines = [line.strip() for line in read_lines(found) if line.strip()]
            paths = [path if path.is_absolute() else root / path for path in map(Path, lines)]
            photos += [path if os.path.exists(path) else existing(Path(_slashes(path))) for path in paths]
    return photos


def _place(file: Path, root: Path, place: str) -> Path | None:
    """Return where a part lies; None where it is not there.

    Roboflow writes ../train/images for what lies beside data.yaml, hence the third try.
    """
    tries = (root / place, file.parent / place, file.parent / place.removeprefix("../"), root / "images" / place)
    tries += tuple(Path(_slashes(path)) for path in tries)
    return next((path.resolve() for path in tries if os.path.exists(path)), None)


def _slashes(path: Path) -> str:
    """Return a path that was written on Windows with the slashes of this system."""
    return str(path).replace("\\", "/")


def _photos(
    source: Path, listed: list[tuple[str, Path]], names: dict[int, str], problems: list[Problem], notes: list[str]
) -> Iterator[LabelledPhoto]:
    without = []
    for split, path in listed:
        try:
            height, width = inspect_header(path, max_megapixels=ANY_SIZE).shown_size
        except PhotoError as error:
            raise UserError(f"{path} {error}; restore it, or take it out of the {split} part") from error
        labels = _labels_of(path)
        named = str(labels.relative_to(source)) if labels.is_relative_to(source) else str(labels)
        shapes = tuple(_shapes(labels, named, (height, width), names, problems)) if labels.is_file() else ()
        without += [] if labels.is_file() else [named]
        yield LabelledPhoto(split, path, _name_of(path), height, width, shapes, named)
    if without:
        few = ", ".join(without[:3])
        what = f"{len(without)} of {len(listed)} photos have no label file, such as {few}"
        notes.append(f"{what}, and are taken as photos without any object")


def _labels_of(photo: Path) -> Path:
    """Return a/labels/b.txt for a/images/b.jpg, by the last folder named images; else the text file beside it."""
    parts = list(photo.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    labels, beside = (existing(path.with_suffix(".txt")) for path in (Path(*parts), photo))
    return beside if os.path.isfile(beside) and not os.path.isfile(labels) else labels


def _name_of(photo: Path) -> str:
    """Return the photo's path below the last folder named images, or its bare name."""
    parts = photo.parts
    return "/".join(parts[len(parts) - parts[::-1].index("images") :]) if "images" in parts else photo.name


def _shapes(
    file: Path, labels: str, size: tuple[int, int], names: dict[int, str], problems: list[Problem]
) -> Iterator[Shape]:
    height, width = size
    for number, line in enumerate(read_lines(file), start=1):
        if not line.split():
            continue
        try:
            first, *rest = line.split()
            number_of_class, *shares = map(float, (first, *rest))
        except ValueError:
            raise UserError(f"{labels}, line {number}: is no class number and coordinates: {line[:60]!r}") from None
        if number_of_class not in names:
            raise UserError(f"{labels}, line {number}: class {first} is not among the names of data.yaml")
        if len(shares) == 4:
            what = "is a box, and a box alone is no mask"
            problems.append(Problem(labels, f"line {number}", what, SKIPPED))
            continue
        polygon = [share * (height if index % 2 else width) for index, share in enumerate(shares)]
        yield Shape(int(number_of_class), [polygon], f"line {number}")
