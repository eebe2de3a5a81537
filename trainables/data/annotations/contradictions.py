"""Contradictions in a COCO file: what it states twice, and differently, such as the box of a segmentation.

They are signs that masks are wrong, but no proof, and only the pixels of a segmentation are used. So each kind of sign
is reported as one problem of the whole file, which somebody should look into.
"""

from collections.abc import Container, Iterable
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from trainables.data.annotations.checks import Problem, is_id
from trainables.data.annotations.masks import area_of

_LEAST_SHARE = 0.2  # of the annotations with a box, for a problem
_NEAR = 2  # pixels that may be painted beyond an edge of a box
_MOST_PARTS = 100  # of an annotation, each of which is compared with each


def shifted_ids(file: str, entries: Iterable[dict], known: dict[str, Container[int]]) -> list[Problem]:
    """Return a problem for each key whose values are not all known but would be if they were one more, or one less.

    Tools count from 0 or from 1, and where a file mixes the two, most annotations have the next image or category.

    Args:
        file: The name of the COCO file, for messages.
        entries: Its annotations.
        known: The ids that the file lists, by the key of annotations that refers to them.
    """
    problems = []
    for key, ids in known.items():
        used = {entry[key] for entry in entries if is_id(entry.get(key))}
        steps = {1: "one more", -1: "one less"} if any(one not in ids for one in used) else {}
        for step, words in steps.items():
            if all(one + step in ids for one in used):
                what = f"not every {key} of its annotations is listed, but every one would be if it were {words}"
                remedy = "if they are counted from another number than the listed ids, correct all of them"
                problems.append(Problem(file, None, what, remedy))
    return problems


class Contradictions:
    """The annotations of a file whose box is elsewhere, that seem to have holes, or that others contradict."""

    def __init__(self) -> None:
        self._boxed: list[tuple[int | str, list[float], dict[str, Any]]] = []
        self._nested: list[int | str] = []
        self._category_of: dict[tuple[Any, bytes], Any] = {}
        self._twins: list[int | str] = []

    def add(self, name: int | str, entry: dict, segmentation: Any, rle: dict[str, Any]) -> None:
        """Look at an annotation: its entry in the file, its sound segmentation, and that one as compressed RLE."""
        if _is_box(entry.get("bbox")):
            self._boxed.append((name, entry["bbox"], rle))
        category = entry.get("category_id")
        if self._category_of.setdefault((entry.get("image_id"), rle["counts"]), category) != category:
            self._twins.append(name)
        several = isinstance(segmentation, list) and 1 < len(segmentation) <= _MOST_PARTS
        if several and _seems_cut_out(segmentation, entry.get("area"), rle):
            self._nested.append(name)

    def problems(self, file: str) -> list[Problem]:
        """Return what was found, as problems of the file of that name."""
        problems = []
        elsewhere = self._elsewhere()
        if len(elsewhere) > max(1, _LEAST_SHARE * len(self._boxed)):
            what = f"the bbox of {_some(elsewhere)} is not where the pixels of its segmentation are"
            remedy = (
                "look at some by segvote data show: runs that count row by row instead of column by column, and "
                "polygons of a photo of another size, paint such pixels; if only the boxes are wrong, nothing is lost"
            )
            problems.append(Problem(file, None, what, remedy))
        if self._nested:
            what = f"{_some(self._nested)} has a polygon inside another one, which COCO adds and does not cut out"
            problems.append(Problem(file, None, what, "if these are holes, write the segmentation as RLE"))
        if self._twins:
            what = f"{_some(self._twins)} has the very pixels of an earlier one of another category"
            problems.append(Problem(file, None, what, "the last one is on top; remove the wrong ones"))
        return problems

    def _elsewhere(self) -> list[int | str]:
        """Return the annotations whose box is elsewhere: as x, y, width, height, and as two corners, as some write."""
        if not self._boxed:
            return []
        names, boxes, rles = zip(*self._boxed)
        given, painted = np.array(boxes, float), _corners(coco_mask.toBbox(list(rles)))
        sizes = np.array([rle["size"] for rle in rles])
        sound = _agree(_corners(given), painted, sizes) | _agree(given, painted, sizes)
        return [names[index] for index in np.flatnonzero(~sound)]


def _some(names: list[int | str]) -> str:
    first = f"id {names[0]}" if is_id(names[0]) else names[0]
    return f"an annotation ({first})" if len(names) == 1 else f"each of {len(names)} annotations, such as {first},"


def _is_box(box: Any) -> bool:
    """Return whether a value is a box in pixels that has a size; some tools write nothing, zeros, or shares."""
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(type(value) in (int, float) and abs(value) < 1e9 for value in box)
        and min(box[2:]) > 0
        and max(box) > 1
    )


def _corners(boxes: np.ndarray) -> np.ndarray:
    """Return left, top, right and bottom, (n, 4), of boxes of x, y, width and height."""
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def _agree(given: np.ndarray, painted: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return whether boxes, as corners (n, 4), fit what is painted: they hold all of it, or share half of their union.

    A box may be of a whole object, of which only the visible part is painted. What the given boxes have out of the
    images, of `sizes` (n, 2) as height and width, does not count.
    """
    given = np.clip(given, 0, sizes[:, [1, 0, 1, 0]])
    holds = ((given - painted) * [1, 1, -1, -1] <= _NEAR).all(axis=1)
    inner = _areas(np.hstack([np.maximum(given, painted)[:, :2], np.minimum(given, painted)[:, 2:]]))
    return holds | (2 * inner >= _areas(given) + _areas(painted) - inner)


def _areas(corners: np.ndarray) -> np.ndarray:
    return (corners[:, 2:] - corners[:, :2]).clip(0).prod(axis=1)


def _seems_cut_out(polygons: list[list[float]], stated: Any, rle: dict[str, Any]) -> bool:
    """Return whether a polygon lies wholly in another, larger one, and the stated area does not count it, if any is.

    The area is compared both with pixels and with the polygons' own areas, since of small ones these differ by as much.
    """
    parts = coco_mask.frPyObjects(polygons, *rle["size"])
    pixels = coco_mask.area(parts).astype(int)
    inside = coco_mask.iou(parts, parts, [1] * len(parts))  # as of crowds: the share of each that lies in each other
    inner = ((inside == 1) & (pixels[:, None] < pixels[None])).any(axis=1)
    if not pixels[inner].any():
        return False
    if type(stated) not in (int, float) or not stated > 0:
        return True
    own = np.array([_area(polygon) for polygon in polygons])
    return stated < min(area_of(rle) - pixels[inner].sum() / 2, own[~inner].sum() - own[inner].sum() / 2)


def _area(polygon: list[float]) -> float:
    x, y = np.reshape(polygon, (-1, 2)).T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
