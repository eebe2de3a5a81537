"""The sound annotations of a COCO file: the pixels that each covers, and the faults of those that are left out."""

import math
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trainables.data.annotations.checks import Problem, duplicates, is_id, kind_of
from trainables.data.annotations.contradictions import Contradictions, shifted_ids
from trainables.data.annotations.masks import area_of, run_lengths, to_rle

SKIPPED = "it is left out: correct or remove it"
FARTHEST = 8  # image sides; pycocotools allocates memory by a polygon's extent, not by the image's
_SHARES = (-0.05, 1.05)  # within it lie polygons in shares of the image's sides, which a tool may have rounded
_PERCENT, _LEAST_POLYGONS = 100, 10


@dataclass(frozen=True)
class Annotation:
    """One object; `segmentation` is a compressed RLE of the image's size, and `area` is its number of pixels.

    `id` names one annotation of a file, in messages and to edits. Where the file has no whole number there, or one that
    other annotations have as well, it is the index in the file, as in "annotations[3]".
    """

    id: int | str
    category_id: int
    segmentation: Any = field(repr=False)
    area: float


def sound_annotations(
    file: str, content: dict, category_ids: Container[int], problems: list[Problem]
) -> dict[int, list[Annotation]]:
    """Return the sound annotations by image id, in file order, as `sound_entries` yields them."""
    by_image = defaultdict(list)
    for name, entry, _, rle in sound_entries(file, content, category_ids, problems, problems):
        annotation = Annotation(name, entry["category_id"], rle, float(area_of(rle)))
        by_image[entry["image_id"]].append(annotation)
    return by_image


def sound_entries(
    file: str, content: dict, category_ids: Container[int], left_out: list[Problem], told: list[Problem]
) -> Iterator[tuple[int | str, dict, Any, dict[str, Any]]]:
    """Yield each sound annotation: its name, its entry, the sound part of its segmentation, and this as RLE.

    Where all polygons of the file are shares of the image's sides, they are multiplied by these, and a problem says so.

    Args:
        file: The name of the COCO file, for messages.
        content: The content of the COCO file, whose images were checked.
        category_ids: The ids of the categories.
        left_out: The list to which the faults of what is left out are added.
        told: The list to which problems of the file are added, for which nothing is left out.
    """
    sizes = {image["id"]: (int(image["height"]), int(image["width"])) for image in content["images"]}
    entries = content["annotations"]
    repeated = duplicates(file, entries, "annotation")
    kept = "all are kept, and are called by their places, such as annotations[0]; give each its own id"
    told += [Problem(file, problem.id, problem.what, kept) for problem in repeated]
    unclear = {problem.id for problem in repeated}
    in_shares = _are_in_shares(entries)
    told += _said_of_units(file, entries, sizes, in_shares)
    told += shifted_ids(file, entries, {"image_id": sizes, "category_id": category_ids})
    contradictions = Contradictions()
    for index, entry in enumerate(entries):
        own = entry.get("id")
        name = own if is_id(own) and own not in unclear else f"annotations[{index}]"
        fault = _misplaced(entry, sizes, category_ids)
        if fault:
            left_out.append(Problem(file, name, fault, SKIPPED))
            continue
        size = sizes[entry["image_id"]]
        segmentation = _in_pixels(entry["segmentation"], size) if in_shares else entry["segmentation"]
        sound, faults = sound_segmentation(segmentation, *size)
        where = f"annotation of image {entry['image_id']}"
        left_out += [Problem(file, name, f"{where}: {fault}", SKIPPED) for fault in faults]
        if sound is None:
            continue
        rle = to_rle(sound, *size)
        if area_of(rle) == 0:
            left_out.append(Problem(file, name, f"{where} covers no pixel: its area is zero", SKIPPED))
            continue
        contradictions.add(name, entry, sound, rle)
        yield name, entry, sound, rle
    told += contradictions.problems(file)


def _said_of_units(
    file: str, entries: list[dict], sizes: Mapping[int, tuple[int, int]], in_shares: bool
) -> Iterator[Problem]:
    """Yield a problem where the polygons of a file are in shares of the sides, or may be in percent."""
    if in_shares:
        what = "all of its polygons are in shares of the sides, from 0 to 1"
        yield Problem(file, None, what, "they are taken times width and height; write pixels to be sure")
    elif _may_be_percent(entries, sizes):
        what = f"all of its polygons lie within the first {_PERCENT} pixels of images that are much larger"
        yield Problem(file, None, what, "if they are percent of the sides, write them in pixels")


def _misplaced(entry: dict, image_ids: Container[int], category_ids: Container[int]) -> str | None:
    """Return what is wrong with the image and the category of an annotation, or that it has no segmentation."""
    image_id, category_id = entry.get("image_id"), entry.get("category_id")
    if "segments_info" in entry:
        return "annotation in COCO's panoptic format, which is not read: export instances, with polygons or RLE"
    if not is_id(image_id) or image_id not in image_ids:
        return f"annotation of the unknown image {image_id!r}"
    if not is_id(category_id) or category_id not in category_ids:
        return f"annotation of the unknown category {category_id!r}"
    if not entry.get("segmentation"):
        return "annotation without segmentation (a box alone is no mask)"
    return None


def _polygons(entries: list[dict]) -> Iterator[tuple[Any, list[float]]]:
    """Yield the image id and the coordinates of each polygon that is a list of numbers."""
    for entry in entries:
        segmentation = entry.get("segmentation")
        for part in segmentation if isinstance(segmentation, list) else ():
            if isinstance(part, list) and len(part) >= 6 and all(type(value) in (int, float) for value in part):
                yield entry.get("image_id"), part


def _are_in_shares(entries: list[dict]) -> bool:
    """Return whether all polygons of a file lie between 0 and 1, and one of them has a fraction."""
    least, most = _SHARES
    fractions = False
    for _, part in _polygons(entries):
        if not all(least <= value <= most for value in part):
            return False
        fractions = fractions or any(value != int(value) for value in part)
    return fractions


def _in_pixels(segmentation: Any, size: tuple[int, int]) -> Any:
    """Return polygons that are shares of the sides in pixels; anything that is no list of numbers is kept as it is."""
    if not isinstance(segmentation, list):
        return segmentation
    sides = (size[1], size[0])
    return [
        [value * sides[index % 2] for index, value in enumerate(part)]
        if isinstance(part, list) and all(type(value) in (int, float) for value in part)
        else part
        for part in segmentation
    ]


def _may_be_percent(entries: list[dict], sizes: Mapping[int, tuple[int, int]]) -> bool:
    """Return whether all polygons, ten or more, lie in the first 100 pixels of images more than twice as large."""
    count = 0
    for image_id, part in _polygons(entries):
        if not is_id(image_id) or min(sizes.get(image_id, (0, 0))) <= 2 * _PERCENT or max(part) > _PERCENT:
            return False
        count += 1
    return count >= _LEAST_POLYGONS


def sound_segmentation(segmentation: Any, height: int, width: int) -> tuple[Any, list[str]]:
    """Return the sound part of a segmentation, which pycocotools can be given, and the faults of the rest.

    pycocotools itself checks little. The segmentation is None where no part of it is sound.
    """
    if isinstance(segmentation, dict):
        fault = _rle_fault(segmentation, height, width)
        return (None, [fault]) if fault else (segmentation, [])
    if not isinstance(segmentation, list):
        return None, [f"segmentation is {kind_of(segmentation)}, expected polygons or RLE"]
    if not all(isinstance(part, list) for part in segmentation):
        return None, ["segmentation is no list of polygons (each one list: x1, y1, x2, y2, ...)"]
    faults = [_polygon_fault(part, height, width) for part in segmentation]
    sound = [part for part, fault in zip(segmentation, faults) if fault is None]
    return sound or None, [
        f"polygon {index + 1} of {len(faults)} {fault}" for index, fault in enumerate(faults) if fault is not None
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
    if max(map(abs, part)) > FARTHEST * max(height, width):
        return f"reaches far out of the {width}x{height} image"
    if max(part) <= 1 < min(height, width) and any(value != int(value) for value in part):
        return "lies within the first pixel: coordinates are pixels, not shares of the sides"
    return None


def _rle_fault(rle: dict, height: int, width: int) -> str | None:
    if rle.get("size") != [height, width]:
        return f"RLE of size {rle.get('size')!r} (height, width), but the image has [{height}, {width}]"
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
