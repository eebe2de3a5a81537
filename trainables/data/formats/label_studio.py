"""Label Studio's JSON export: tasks with polygons, ellipses and brush strokes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Required
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from pycocotools import mask as coco_mask
from typing_extensions import TypedDict

from trainables.data.annotations import checks
from trainables.data.annotations.checks import Problem
from trainables.data.formats.imported import (
    ANY_SIZE,
    SKIPPED,
    Imported,
    ImportOptions,
    LabelledPhoto,
    PhotosByName,
    Shape,
    check_form,
)
from trainables.data.formats.outlines import ellipse
from trainables.data.formats.write import as_json
from trainables.data.photos.names import SUFFIXES
from trainables.data.photos.photo_files import PhotoError, inspect_header
from trainables.errors import UserError

_MASKS = {"points", "rle", "radiusX"}
_REGIONS = _MASKS | {"vertices", "imageDataURL", "x"}  # keys of the values of regions of all types
UPLOAD_PREFIX = 9  # eight hexadecimal digits and a hyphen, which an upload puts before a photo's name


class _Value(TypedDict, total=False):
    points: list[list[float]]
    rle: list[int]


class _Region(TypedDict, total=False):
    id: str | int | None
    type: str
    original_width: float | None
    original_height: float | None
    value: _Value


class _Annotation(TypedDict, total=False):
    result: list[_Region]


class _Task(TypedDict, total=False):
    data: Required[dict[str, Any]]
    annotations: list[_Annotation | int]
    completions: list[_Annotation | int]


def read_label_studio(source: Path, options: ImportOptions) -> Imported:
    """Return the tasks of the JSON file `source`, or of all JSON files in the directory `source`; photos lie below it.

    Of several annotations of one task the one marked as ground truth counts, else the first that was not cancelled;
    tasks without any are left out. Regions are painted in the order of the file.

    Raises UserError for a file of another form, a photo that is not there, and a photo of unknown size.
    """
    files = [source] if source.is_file() else sorted(source.glob("*.json"))
    tasks = [(file.name, task) for file in files for task in _tasks(file)]
    if not tasks:
        raise UserError(f"{source} holds no Label Studio export: a JSON file with a list of tasks")
    chosen = [(file, task, annotation) for file, task in tasks if (annotation := _annotation(task)) is not None]
    if not chosen:
        raise UserError(f"{source}: none of its tasks has an annotation; predictions alone are not taken")
    names = sorted({names[0] for _, _, annotation in chosen for names, _ in _regions(annotation) if names})
    ids = {name: number for number, name in enumerate(names, start=1)}
    notes = (
        [f"{len(tasks) - len(chosen)} tasks have no annotation and are left out"] if len(chosen) < len(tasks) else []
    )
    problems: list[Problem] = []
    finder = PhotosByName(source if source.is_dir() else source.parent)
    photos = _photos(finder, chosen, ids, problems)
    categories = {number: name for name, number in ids.items()}
    return Imported(categories, photos, len(chosen), layered=True, problems=problems, notes=notes)


def _tasks(file: Path) -> list[dict]:
    content = checks.read_json(file.parent, file.name)
    if not isinstance(content, list) or not all(isinstance(task, dict) and "data" in task for task in content):
        raise UserError(f"{file} is no list of tasks: export from Label Studio as JSON, not as JSON-MIN")
    check_form(content, list[_Task], file)
    return content


def _annotation(task: dict) -> dict | None:
    given = task.get("annotations", task.get("completions", []))
    done = [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
    return next((one for one in done if one.get("ground_truth")), done[0] if done else None)


def _regions(annotation: dict) -> Iterator[tuple[list[str], dict]]:
    """Yield (its labels, region), each region once: its labels and answers to questions may stand in further entries.

    What Label Studio says of a whole photo, such as a text, has no size and is no region.
    """
    regions: dict[Any, list[tuple[dict, dict]]] = {}
    labels: dict[Any, list[str]] = {}
    for index, one in enumerate(one for one in annotation.get("result", []) if "value" in one):
        key = index if one.get("id") is None else str(one["id"])
        labels[key] = labels.get(key) or _labels(one["value"])
        place = {name: one["value"][name] for name in _REGIONS & one["value"].keys()}
        if place and all(place != other for other, _ in regions.setdefault(key, [])):
            regions[key].append((place, one))
    yield from ((labels[key], one) for key, ones in regions.items() for _, one in ones)


def _labels(value: dict) -> list[str]:
    found = (names for key, names in value.items() if key.endswith("labels") and isinstance(names, list) and names)
    return [str(name).strip() for name in next(found, [])]


def _photos(
    finder: PhotosByName, chosen: list[tuple[str, dict, dict]], ids: dict[str, int], problems: list[Problem]
) -> Iterator[LabelledPhoto]:
    for file, task, annotation in chosen:
        labels = f"{file}, task {task.get('id')}"
        regions = list(_regions(annotation))
        images = {str(one["to_name"]) for _, one in regions if one.get("to_name")}
        images |= {f"item {one['item_index']}" for _, one in regions if one.get("item_index")}
        if len(images) > 1:
            of = ", ".join(sorted(images))
            raise UserError(f"{labels}: its regions are of several images ({of}); export tasks of one image each")
        path = _photo(finder, task, images, labels)
        height, width = _size(path, regions, labels)
        shapes = []
        for index, (names, region) in enumerate(regions):
            called = f"region {region.get('id', index)}"
            if fault := _fault(names, region):
                problems.append(Problem(labels, called, fault, SKIPPED))
                continue
            try:
                shapes.append(Shape(ids[names[0]], _segmentation(region["value"], height, width), called))
            except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
                kind = "rle is no brush stroke" if "rle" in region["value"] else "value is no region"
                what = f"its {kind} of a {width}x{height} photo ({error})"
                problems.append(Problem(labels, called, what, SKIPPED))
        yield LabelledPhoto("train", path, path.name, height, width, tuple(shapes), labels)


def _photo(finder: PhotosByName, task: dict, images: Iterable[str], labels: str) -> Path:
    """Return the photo of a task: by a path below the data directory, by an address, or by the name of an upload.

    It is what the task has under the name of the image that its regions are of, or as "image", else its only text that
    ends as the name of a photo does.
    """
    names = {key: _name(value) for key, value in task["data"].items() if isinstance(value, str)}
    keys = [key for key in (*images, "image") if names.get(key)][:1]
    keys = keys or [key for key, name in names.items() if name.lower().endswith(SUFFIXES)]
    if not keys:
        raise UserError(f"{labels}: its data name no photo, such as one with the key image: {', '.join(task['data'])}")
    if len(keys) > 1:
        raise UserError(
            f"{labels}: its data name several photos ({', '.join(keys)}); call the one that is labelled image"
        )
    name = names[keys[0]]
    bare = name.rsplit("/", 1)[-1]
    if not finder.has(name) and finder.has(bare[UPLOAD_PREFIX:]) and bare[UPLOAD_PREFIX - 1 : UPLOAD_PREFIX] == "-":
        name = bare[UPLOAD_PREFIX:]
    return finder.find(name, labels)


def _name(text: str) -> str:
    """Return the path in an address; that of local files is its d."""
    parts = urlsplit(text)
    return unquote(parse_qs(parts.query).get("d", [parts.path])[0])


def _size(path: Path, regions: list[tuple[str, dict]], labels: str) -> tuple[int, int]:
    sizes = {(one.get("original_height"), one.get("original_width")) for _, one in regions}
    if not sizes:
        try:
            return inspect_header(path, max_megapixels=ANY_SIZE).shown_size
        except PhotoError as error:
            raise UserError(f"{labels}: {path} {error}; restore it") from error
    if len(sizes) > 1 or not all(type(length) is int and length > 0 for length in next(iter(sizes))):
        raise UserError(
            f"{labels}: original_height and original_width are {sorted(map(str, sizes))}: expected one size"
        )
    return next(iter(sizes))


def _fault(names: list[str], region: dict) -> str | None:
    """Return why a region is no mask of one class."""
    if not names:
        return "has no label"
    if not _MASKS & region["value"].keys():
        return f"is a {region.get('type')}, neither a polygon, an ellipse nor a brush stroke"
    if region.get("image_rotation"):
        return f"was drawn on the photo turned by {region['image_rotation']} degrees, so its place is not certain"
    if len(names) > 1:
        return f"has the labels {', '.join(map(repr, names))}, of which a pixel can have one only"
    return None


def _segmentation(value: dict, height: int, width: int) -> Any:
    if "points" in value:
        return [[share / 100 * length for point in value["points"] for share, length in zip(point, (width, height))]]
    if "radiusX" in value:
        x, across = (value[key] / 100 * width for key in ("x", "radiusX"))
        y, down = (value[key] / 100 * height for key in ("y", "radiusY"))
        return ellipse(x, y, across, down, value.get("rotation", 0))
    pixels = decode_brush(bytes(value["rle"])).reshape(height, width, 4)[..., 3] > 0
    return as_json(coco_mask.encode(np.asfortranarray(pixels, np.uint8)))


def decode_brush(data: bytes) -> np.ndarray:
    """Return the values that a brush stroke packs, uint8 (n,): red, green, blue and alpha of each pixel, row by row.

    The packing is rle-pack's: 32 bits of the number of values, 5 bits of the size of a value less one, four times 4
    bits of the size of a run's length less one; then runs: a bit that says whether the values are all the same, 2 bits
    that pick one of the four sizes, the run's length less one, and its one value or all of them.

    Raises ValueError or IndexError where the data end early or say impossible things.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    position = 0

    def read(size: int) -> int:
        nonlocal position
        if position + size > bits.size:
            raise ValueError("it ends early")
        position += size
        return int(bits[position - size : position] @ _POWERS[-size:])

    count, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    if word > 8 or count > 4 * 65535**2:
        raise ValueError("its head is damaged")
    values = np.zeros(count, np.uint8)
    begin = 0
    while begin < count:
        same = read(1)
        end = begin + 1 + read(sizes[read(2)])
        if end > count:
            raise ValueError("a run is longer than what is left")
        if same:
            values[begin:end] = read(word)
        else:
            length = (end - begin) * word
            if position + length > bits.size:
                raise ValueError("it ends early")
            values[begin:end] = bits[position : position + length].reshape(-1, word) @ _POWERS[-word:]
            position += length
        begin = end
    return values


_POWERS = 1 << np.arange(31, -1, -1, dtype=np.int64)
