"""What can be wrong with a data set, each fault with its file, id and remedy.

A fault of the data set as a whole stops the command, in one UserError that lists all such faults found together; a
broken single annotation becomes a Problem, and is skipped.
"""

import json
import math
import posixpath
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.formats.detection import format_of
from trainables.data.masks import run_lengths
from trainables.data.photos import PhotoError, PhotoFacts
from trainables.errors import UserError

MAX_CLASSES = 255  # class ids are uint8, and 255 means "ignore"
_LISTED = 20
_LONGEST_SIDE = 65535  # pycocotools counts an image's pixels in 32 bits
_FARTHEST = 8  # image sides; pycocotools allocates memory by a polygon's extent, not by the image's


@dataclass(frozen=True)
class Problem:
    """One fault: the file it is in, the id of the image, annotation or category, what is wrong and what to do.

    `id` is as the file has it; an entry without a usable id is named by its place, as "images[3]"; None is the whole
    file.
    """

    file: str
    id: int | str | None
    what: str
    remedy: str

    def __str__(self) -> str:
        place = self.file if self.id is None else f"{self.file}, {_named(self.id)}"
        return f"{place}: {self.what}; {self.remedy}"


def _named(identifier: int | str) -> str:
    return f"id {identifier}" if isinstance(identifier, int) else identifier


def raise_if_any(root: Path, problems: Sequence[Problem]) -> None:
    """Raises a UserError that lists the problems (the first 20 of them), if there are any."""
    if not problems:
        return
    lines = [f"  {problem}" for problem in problems[:_LISTED]]
    if len(problems) > _LISTED:
        lines.append(f"  ... and {len(problems) - _LISTED} more like these")
    count = "one fault" if len(problems) == 1 else f"{len(problems)} faults"
    raise UserError("\n".join([f"the data set in {root} cannot be used, {count} found:", *lines]))


def read_json(root: Path, name: str) -> Any:
    """The content of root/name, or None where there is no such file. Raises UserError where it is no JSON."""
    path = root / name
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not JSON ({error}); export the annotations again, in COCO format") from error


def check_root(root: Path) -> None:
    """Raises UserError where there is no data set at all."""
    if not root.is_dir():
        raise UserError(
            f"{root}: there is no such directory; give --data a directory that holds train.json and its images"
        )
    if not (root / "train.json").is_file():
        raise UserError(_without_train_json(root))


def _without_train_json(root: Path) -> str:
    found = ", ".join(sorted(path.name for path in root.glob("*.json"))) or "no .json file"
    looks_like = format_of(root)
    remedy = "name the COCO file of the training images so"
    if looks_like:
        out = shlex.quote(f"{root.name}-imported")
        remedy = (
            f"it looks like the format {looks_like}, which this turns into a data set:\n"
            f"    segvote data import {looks_like} {shlex.quote(str(root))} --out {out}"
        )
    return f"{root / 'train.json'} is missing (found: {found}); {remedy}"


def check_structure(file: str, content: Any, *, labels_optional: bool) -> list[Problem]:
    """Whether the lists that make a COCO file are there, and each entry of them is an object."""
    remedy = "a COCO file is an object with the lists images, annotations and categories"
    if not isinstance(content, dict):
        return [Problem(file, None, f"is not COCO: the outermost value is {_kind(content)}", remedy)]
    problems = []
    for key in ("images", "annotations", "categories"):
        entries = content.get(key)
        if entries is None and key not in content and labels_optional and key != "images":
            continue
        if not isinstance(entries, list):
            what = f"{key} is {_kind(entries)}, not a list" if key in content else f"{key} is missing"
            problems.append(Problem(file, None, f"is not COCO: {what}", remedy))
            continue
        odd = [place for place, entry in enumerate(entries) if not isinstance(entry, dict)]
        problems += [Problem(file, f"{key}[{place}]", "is not an object", remedy) for place in odd]
    if not problems and not content["images"]:
        problems.append(Problem(file, None, "lists no image", "add images, or remove the file if it is not train.json"))
    return problems


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def is_id(value: Any) -> bool:
    """Whether a JSON value is a whole number (true and false are none)."""
    return type(value) is int


def _is_length(value: Any) -> bool:
    return type(value) in (int, float) and 1 <= value <= _LONGEST_SIDE and value == int(value)


def check_images(file: str, images: Sequence[dict]) -> list[Problem]:
    """Keys and types of the image entries, file names that stay in the directory, and ids used once.

    Beside COCO's own keys there may be `group`, of photos that belong together.
    """
    problems = []
    for place, image in enumerate(images):
        identifier = image.get("id")
        if not is_id(identifier):
            problems.append(_bad_key(file, f"images[{place}]", image, "id", "a whole number"))
            continue
        for key in ("width", "height"):
            if not _is_length(image.get(key)):
                problems.append(
                    _bad_key(file, identifier, image, key, f"a whole number of pixels from 1 to {_LONGEST_SIDE}")
                )
        if not _is_file_name(image.get("file_name")):
            expected = "a path below the data directory"
            problems.append(_bad_key(file, identifier, image, "file_name", expected))
        group = image.get("group")
        if group is not None and not is_id(group) and not (isinstance(group, str) and group):
            problems.append(_bad_key(file, identifier, image, "group", "a text or a whole number, or not there"))
    return problems + _duplicates(file, images, "image")


def check_categories(file: str, categories: Sequence[dict]) -> list[Problem]:
    """Keys and types of the categories, ids and names used once."""
    problems = []
    for place, category in enumerate(categories):
        if not is_id(category.get("id")):
            problems.append(_bad_key(file, f"categories[{place}]", category, "id", "a whole number"))
        elif not isinstance(category.get("name"), str) or not category["name"].strip():
            problems.append(_bad_key(file, category["id"], category, "name", "a text"))
    problems += _duplicates(file, categories, "category")
    names = Counter(category["name"].strip() for category in categories if isinstance(category.get("name"), str))
    for name in (name for name, times in names.items() if times > 1):
        what = f"{names[name]} categories have the name {name!r}"
        problems.append(Problem(file, None, what, "give each its own name, or merge them into one id"))
    return problems


def check_classes(file: str, names: Sequence[str], *, unlabelled: str) -> list[Problem]:
    """Whether there are categories, at most as many as class maps can hold, and none that repeats the background."""
    problems = []
    most = MAX_CLASSES if unlabelled == "ignore" else MAX_CLASSES - 1
    if not names:
        problems.append(Problem(file, None, "lists no category", "add the categories that the annotations use"))
    if len(names) > most:
        what = f"lists {len(names)} categories, more than the {most} that an 8-bit class map holds"
        problems.append(Problem(file, None, what, "merge or remove categories"))
    if unlabelled == "background" and "Background" in names:
        what = "has a category named 'Background', and pixels without annotation are background too"
        remedy = "remove that category and its annotations, rename it, or use --unlabelled ignore"
        problems.append(Problem(file, None, what, remedy))
    return problems


def compare_categories(first: dict[int, str], file: str, second: dict[int, str]) -> list[Problem]:
    """Faults where the categories (id: name) of `file` are not those of train.json."""
    differing = [
        f"id {identifier} is {_quoted(first.get(identifier))} in train.json and {_quoted(second.get(identifier))} here"
        for identifier in sorted(first.keys() | second.keys())
        if first.get(identifier) != second.get(identifier)
    ]
    if not differing:
        return []
    remedy = "give both files the same category list (a category may be without annotations)"
    return [
        Problem(file, None, f"its categories differ from those of train.json: {'; '.join(differing[:_LISTED])}", remedy)
    ]


def _quoted(name: str | None) -> str:
    return "absent" if name is None else repr(name)


def _bad_key(file: str, identifier: int | str, entry: dict, key: str, expected: str) -> Problem:
    what = f"{key} is {entry[key]!r}" if key in entry else f"{key} is missing"
    return Problem(file, identifier, f"{what}, expected {expected}", f"correct the entry in {file}")


def _is_file_name(name: Any) -> bool:
    if not isinstance(name, str) or not name.strip() or "\0" in name or posixpath.isabs(name):
        return False
    return posixpath.normpath(name).split("/")[0] not in ("..", ".")


def _duplicates(file: str, entries: Iterable[dict], kind: str) -> list[Problem]:
    times = Counter(entry["id"] for entry in entries if is_id(entry.get("id")))
    remedy = "give each its own id"
    return [
        Problem(file, identifier, f"{count} entries have this {kind} id", remedy)
        for identifier, count in times.items()
        if count > 1
    ]


def check_photo(
    file: str, image_id: int, name: str, size: tuple[int, int], facts: PhotoFacts | PhotoError
) -> list[Problem]:
    """Whether the photo is there, is an image, and has the (height, width) that the file states."""
    if isinstance(facts, PhotoError):
        return [
            Problem(file, image_id, f"{name} {facts}", "restore the photo, or remove the image and its annotations")
        ]
    if not facts.fits(*size):
        what = f"{name} is {facts.width}x{facts.height}, but {file} states {size[1]}x{size[0]}"
        remedy = "correct width and height if the annotations fit the photo, else restore the photo they were drawn on"
        return [Problem(file, image_id, what, remedy)]
    return []


def check_annotation(
    file: str, place: int, annotation: dict, image_ids: set[int], category_ids: set[int]
) -> list[Problem]:
    """Whether an annotation has an id and a segmentation, and an image and a category that the file lists."""
    identifier = annotation.get("id") if is_id(annotation.get("id")) else f"annotations[{place}]"
    skipped = "skipped; correct or remove it"
    if isinstance(identifier, str):
        return [Problem(file, identifier, "the annotation has no id that is a whole number", skipped)]
    image_id, category_id = annotation.get("image_id"), annotation.get("category_id")
    if not is_id(image_id) or image_id not in image_ids:
        return [Problem(file, identifier, f"annotation of the unknown image {image_id!r}", skipped)]
    if not is_id(category_id) or category_id not in category_ids:
        return [Problem(file, identifier, f"annotation of the unknown category {category_id!r}", skipped)]
    if not annotation.get("segmentation"):
        return [Problem(file, identifier, "annotation without segmentation (a box alone is no mask)", skipped)]
    return []


def repeated_annotation_ids(file: str, annotations: Sequence[dict]) -> list[Problem]:
    """Annotation ids used more than once; nothing refers to an annotation by its id, so all of them are painted."""
    remedy = "all are kept; give each its own id"
    return [Problem(file, p.id, p.what, remedy) for p in _duplicates(file, annotations, "annotation")]


def sound_segmentation(segmentation: Any, height: int, width: int) -> tuple[Any, list[str]]:
    """What of a segmentation can be handed to pycocotools, which checks little itself, and what is wrong with the rest.

    Returns (segmentation, faults); the segmentation is None where nothing of it is sound.
    """
    if isinstance(segmentation, dict):
        fault = _rle_fault(segmentation, height, width)
        return (None, [fault]) if fault else (segmentation, [])
    if not isinstance(segmentation, list):
        return None, [f"segmentation is {_kind(segmentation)}, expected polygons or RLE"]
    if not all(isinstance(part, list) for part in segmentation):
        return None, ["segmentation is no list of polygons (each one list: x1, y1, x2, y2, ...)"]
    faults = [_polygon_fault(part, height, width) for part in segmentation]
    sound = [part for part, fault in zip(segmentation, faults) if fault is None]
    return sound or None, [
        f"polygon {place + 1} of {len(faults)} {fault}" for place, fault in enumerate(faults) if fault is not None
    ]


def _polygon_fault(part: list, height: int, width: int) -> str | None:
    if not all(type(value) in (int, float) for value in part):
        return "is not a list of numbers x1, y1, x2, y2, ..."
    if len(part) % 2:
        return f"has an odd count of coordinates ({len(part)})"
    if len(part) < 6:
        return f"has {len(part) // 2} points, fewer than 3"
    if any(value != value or value in (math.inf, -math.inf) for value in part):
        return "has a coordinate that is not finite"
    x, y = part[::2], part[1::2]
    if max(x) <= 0 or max(y) <= 0 or min(x) >= width or min(y) >= height:
        return f"lies wholly outside the {width}x{height} image"
    if max(map(abs, part)) > _FARTHEST * max(height, width):
        return f"reaches far out of the {width}x{height} image"
    return None


def _rle_fault(rle: dict, height: int, width: int) -> str | None:
    if rle.get("size") != [height, width]:
        return f"RLE of size {rle.get('size')} (height, width), but the image has [{height}, {width}]"
    counts = rle.get("counts")
    if isinstance(counts, str):
        try:
            runs = run_lengths(counts.encode("ascii"))
        except ValueError:
            return "RLE counts are no compressed RLE"
    elif isinstance(counts, list) and all(is_id(run) and 0 <= run <= height * width for run in counts):
        runs = np.asarray(counts, np.int64)
    else:
        return "RLE counts are neither text nor a list of runs of at most the image's pixels"
    if (runs < 0).any() or runs.sum() != height * width:
        return f"RLE runs cover {runs.sum()} pixels, but the image has {height * width}"
    return None
