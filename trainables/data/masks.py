"""Class maps painted from COCO annotations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco_mask

if TYPE_CHECKING:
    from trainables.data.coco import ImageRecord

IGNORE_INDEX = 255


def to_rle(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    """A valid COCO segmentation (polygons, uncompressed or compressed RLE) as compressed RLE, `counts` being bytes.

    Several polygons are united. Polygon pixels are those that pycocotools paints.
    """
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)
    counts = segmentation["counts"]
    return {"size": [height, width], "counts": counts.encode("ascii") if isinstance(counts, str) else counts}


def area_of(rle: Mapping[str, Any]) -> int:
    """The number of pixels that a compressed RLE covers."""
    return int(coco_mask.area(rle))


def run_lengths(counts: bytes) -> np.ndarray:
    """The runs, int64 (runs,), of a compressed RLE: pixels off, on, off, ... in column-major order.

    Each number is written in groups of five bits, lowest first, offset by 48, with bit 5 set where another group
    follows and bit 4 of the last group as its sign; from the fourth number on, the difference to the number two before
    is written. (`rleFrString` in pycocotools' maskApi.c, which does not check that the runs fit the image.)

    Raises ValueError where `counts` is no such text.
    """
    groups = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    last = np.flatnonzero((groups & 32) == 0)
    if groups.size == 0 or groups.min() < 0 or groups.max() > 63 or last[-1:].tolist() != [groups.size - 1]:
        raise ValueError("not a compressed RLE")
    lengths = np.diff(last, prepend=-1)
    if lengths.max() > 8:  # more than 40 bits: no run of pixels, and it would overflow
        raise ValueError("not a compressed RLE")
    first = last - lengths + 1
    shifts = 5 * (np.arange(groups.size) - np.repeat(first, lengths))
    runs = np.add.reduceat((groups & 31) << shifts, first)
    runs -= ((groups[last] & 16) != 0).astype(np.int64) << (5 * lengths)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def paint_mask(record: "ImageRecord", class_id_of: Mapping[int, int], *, fill: int) -> np.ndarray:
    """The class map of an image, uint8 (height, width); pixels without annotation are `fill`.

    Annotations are painted from the largest to the smallest, so that the small one stays on top; of two of equal size
    the later in the file. Size is the number of pixels painted; the `area` that the file states is not looked at.
    """
    rles = [to_rle(annotation.segmentation, record.height, record.width) for annotation in record.annotations]
    classes = [class_id_of[annotation.category_id] for annotation in record.annotations]
    flat = np.full(record.height * record.width, fill, np.uint8)
    # Painting run by run costs what the outline costs, not what the photo costs: 90 objects on 12 megapixels stay fast.
    for index in sorted(range(len(rles)), key=lambda index: -area_of(rles[index])):
        ends = np.cumsum(run_lengths(rles[index]["counts"])).tolist()
        for start, end in zip(ends[::2], ends[1::2]):
            flat[start:end] = classes[index]
    return np.ascontiguousarray(flat.reshape(record.width, record.height).T)
