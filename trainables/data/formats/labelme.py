"""labelme's JSON: a file a photo, with polygons, rectangles, circles and masks."""

import base64
import binascii
import io
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from typing_extensions import TypedDict

from trainables.data.annotations import checks
from trainables.data.annotations.checks import Problem
from trainables.data.formats.class_lists import LABELME_IGNORED as IGNORED
from trainables.data.formats.detection import split_of
from trainables.data.formats.imported import (
    ANY_SIZE,
    SKIPPED,
    Imported,
    ImportOptions,
    LabelledPhoto,
    Shape,
    check_form,
    read_lines,
)
from trainables.data.formats.outlines import ellipse
from trainables.data.formats.write import as_json
from trainables.data.photos.names import existing
from trainables.data.photos.photo_files import PhotoError, inspect_header
from trainables.errors import UserError
from trainables.files import files_below


class _Shape(TypedDict, total=False):
    label: str | int | None
    points: list[list[float]]
    shape_type: str | None
    mask: str | None


class _File(TypedDict):
    imagePath: str
    shapes: list[_Shape]


BACKGROUND = "_background_"
NO_CLASSES = (IGNORED, BACKGROUND)


def read_labelme(source: Path, options: ImportOptions) -> Imported:
    """Return the photos of all labelme files below `source`; shapes are painted in the order of their file.

    The classes are those of --classes FILE or of labels.txt in labelme's own form, else all labels by name. A folder
    named train, val or test says the split. A photo that is not where the JSON says is looked for beside the JSON, and
    where there is none and the JSON holds its bytes, those are taken.

    Raises UserError for a file of another form, a label that is not listed, and a photo that is not there.
    """
    files = [path for path in sorted(files_below(source)) if path.suffix.lower() == ".json" and _is_labelme(path)]
    if not files:
        raise UserError(f"{source} holds no labelme file: JSON with shapes and imagePath")
    listed = options.classes or (source / "labels.txt" if (source / "labels.txt").is_file() else None)
    names = _listed(listed) if listed else sorted({name for file in files for name in _labels(file)})
    ids = {name: number for number, name in enumerate(names, start=1)}
    problems: list[Problem] = []
    photos = (_photo(source, file, ids, problems) for file in files)
    return Imported({number: name for name, number in ids.items()}, photos, len(files), layered=True, problems=problems)


def _is_labelme(file: Path) -> bool:
    content = checks.read_json(file.parent, file.name)
    if not (isinstance(content, dict) and "shapes" in content and "imagePath" in content):
        return False
    check_form(content, _File, file)
    return True


def _listed(file: Path) -> list[str]:
    names = [line.strip() for line in read_lines(file) if line.strip()]
    return [name for name in names if name not in NO_CLASSES]


def _labels(file: Path) -> list[str]:
    shapes = checks.read_json(file.parent, file.name)["shapes"]
    return [name for shape in shapes if (name := _label(shape)) and name not in NO_CLASSES]


def _label(shape: dict) -> str:
    return "" if shape.get("label") is None else str(shape["label"]).strip()


def _photo(source: Path, file: Path, ids: dict[str, int], problems: list[Problem]) -> LabelledPhoto:
    labels = str(file.relative_to(source))
    content = checks.read_json(file.parent, file.name)
    path = existing(file.parent / str(content["imagePath"]).replace("\\", "/"))
    beside = existing(file.with_name(path.name or "-"))  # where it is if the folder was moved from another machine
    path = beside if os.path.isfile(beside) and not os.path.isfile(path) else path
    data = _embedded(content, labels, path)
    height, width = _size(content, labels, path if data is None else None)
    name = file.with_name(path.name).relative_to(source)
    split = next((split for part in name.parts[:-1] if (split := split_of(part))), "train")
    shapes = tuple(_shapes(content["shapes"], height, width, ids, labels, problems))
    return LabelledPhoto(split, path, name.as_posix(), height, width, shapes, labels, data)


def _size(content: dict, labels: str, photo: Path | None) -> tuple[int, int]:
    """Return the height and width that a file states, else those of the photo, since old files do not state them."""
    try:
        if photo and content.get("imageHeight") is None and content.get("imageWidth") is None:
            return inspect_header(photo, max_megapixels=ANY_SIZE).shown_size
        return int(content["imageHeight"]), int(content["imageWidth"])
    except PhotoError as error:
        raise UserError(f"{labels}: imageHeight and imageWidth are missing, and its photo {error}") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{labels}: imageHeight or imageWidth is missing or no number ({error})") from error


def _embedded(content: dict, labels: str, path: Path) -> bytes | None:
    if os.path.isfile(path):  # False, too, of a name that is longer than the file system allows
        return None
    try:
        return base64.b64decode(content["imageData"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise UserError(f"{labels}: its photo {path} is not there, and the file does not hold it; restore it") from None


def _shapes(
    entries: list[dict], height: int, width: int, ids: dict[str, int], labels: str, problems: list[Problem]
) -> Iterator[Shape]:
    for index, entry in enumerate(entries, start=1):
        called, name, kind = f"shape {index}", _label(entry), entry.get("shape_type") or "polygon"
        if name == IGNORED:
            problems.append(Problem(labels, called, f"is labelled {IGNORED}", "skipped; what is below it is kept"))
            continue
        if not name:
            problems.append(Problem(labels, called, "has no label", SKIPPED))
            continue
        if name not in ids and name != BACKGROUND:
            raise UserError(f"{labels}, {called}: its label {name!r} is not in the list of classes; add or correct it")
        if kind not in _SEGMENTATIONS:
            problems.append(Problem(labels, called, f"is a {kind}, which covers no area", SKIPPED))
            continue
        try:
            segmentation = _SEGMENTATIONS[kind](entry, height, width)
        except (KeyError, TypeError, ValueError, OverflowError, OSError, SyntaxError) as error:
            problems.append(Problem(labels, called, f"is no readable {kind} ({error})", SKIPPED))
            continue
        yield Shape(ids.get(name), segmentation, called)


def _polygon(entry: dict, height: int, width: int) -> list[list[float]]:
    return [[float(value) for x, y in entry["points"] for value in (x, y)]]


def _rectangle(entry: dict, height: int, width: int) -> list[list[float]]:
    """Return a rectangle of two opposite corners, or of all four, as newer tools write it."""
    if len(entry["points"]) == 4:
        return _polygon(entry, height, width)
    (x1, y1), (x2, y2) = entry["points"]
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def _circle(entry: dict, height: int, width: int) -> list[list[float]]:
    """Return a circle of its centre and a point on it."""
    (x, y), edge = entry["points"]
    radius = math.dist((x, y), edge)
    return ellipse(x, y, radius, radius)


def _mask(entry: dict, height: int, width: int) -> dict[str, Any]:
    """Return the RLE of a PNG in base64 that covers the box of the two points, both of which are in it."""
    left, top, right, bottom = (round(value) for point in entry["points"] for value in point)
    with Image.open(io.BytesIO(base64.b64decode(entry["mask"])), formats=("PNG",)) as image:
        inside = np.asarray(image).astype(bool)
    if inside.shape != (bottom - top + 1, right - left + 1):
        raise ValueError(f"its mask has (height, width) {inside.shape}, which is not the size of its box")
    if min(left, top) < 0 or right >= width or bottom >= height:
        raise ValueError(f"its box reaches out of the {width}x{height} image")
    pixels = np.zeros((height, width), np.uint8, order="F")
    pixels[top : bottom + 1, left : right + 1] = inside
    return as_json(coco_mask.encode(pixels))


_SEGMENTATIONS = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "oriented_rectangle": _polygon,  # four corners; X-AnyLabeling calls it a rotation
    "rotation": _polygon,
    "circle": _circle,
    "mask": _mask,
}
