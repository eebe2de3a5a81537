"""CVAT's XML for images, version 1.1: polygons, ellipses and masks."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from pycocotools import mask as coco_mask

from trainables.data.annotations.annotation import FARTHEST
from trainables.data.annotations.checks import Problem
from trainables.data.formats.detection import split_of
from trainables.data.formats.imported import SKIPPED, Imported, ImportOptions, LabelledPhoto, PhotosByName, Shape
from trainables.data.formats.outlines import ellipse
from trainables.data.formats.write import as_json
from trainables.errors import UserError

NO_MASKS = ("box", "polyline", "points", "cuboid", "skeleton")


def read_cvat(source: Path, options: ImportOptions) -> Imported:
    """Return the images of the XML file `source`, or of all XML files in the directory `source`; photos lie below it.

    Shapes are painted by their z_order, and in the order of the file where it is the same; polygons of one group and
    label, as CVAT writes an object of several parts, stay shapes of their own, which paints the same. An image's subset
    says its split; without one it is for training.

    Raises UserError for a file of another form, and for a label that the file does not list.
    """
    files = [source] if source.is_file() else sorted(source.glob("*.xml"))
    roots = [(file, _parse(file)) for file in files]
    if not roots:
        raise UserError(f"{source} holds no annotations.xml; export from CVAT as 'CVAT for images 1.1'")
    names = list(dict.fromkeys(name for file, root in roots for name in _labels(file, root)))
    ids = {name: number for number, name in enumerate(names, start=1)}
    images = [(file.name, image) for file, root in roots for image in root.iter("image")]
    finder = PhotosByName(source if source.is_dir() else source.parent)
    problems: list[Problem] = []
    photos = _photos(finder, images, ids, problems)
    categories = {number: name for name, number in ids.items()}
    notes = list(_unknown_subsets(images))
    return Imported(categories, photos, len(images), layered=True, problems=problems, notes=notes)


def _unknown_subsets(images: list[tuple[str, ElementTree.Element]]) -> Iterator[str]:
    """Yield a sentence on the subsets whose names say no split, if there are any; "default" is CVAT's own for none."""
    subsets = Counter(image.get("subset") or "default" for _, image in images)
    told = [f"{name!r} ({count})" for name, count in subsets.items() if name != "default" and split_of(name) is None]
    if told:
        yield f"images of the subsets {', '.join(told)} are taken for training, since the names say no split"


def _parse(file: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, LookupError, ValueError, ElementTree.ParseError) as error:  # a lookup of its encoding
        raise UserError(f"{file}: is no XML ({error}); export it again") from error
    if root.tag != "annotations" or root.find("track") is not None:
        found = "tracks of a video" if root.tag == "annotations" else f"<{root.tag}>"
        raise UserError(f"{file} has {found}; export from CVAT as 'CVAT for images 1.1'")
    return root


def _labels(file: Path, root: ElementTree.Element) -> list[str]:
    """Return the labels that the head of the file lists; of a file without such a head, those that are used."""
    listed = [name.text.strip() for name in root.findall(".//meta//labels/label/name") if name.text]
    return listed or sorted({_label(shape) for image in root.iter("image") for shape in image} - {""})


def _photos(
    finder: PhotosByName, images: list[tuple[str, ElementTree.Element]], ids: dict[str, int], problems: list[Problem]
) -> Iterator[LabelledPhoto]:
    for file, image in images:
        labels = f"{file}, image {image.get('id')}"
        try:
            name, height, width = image.attrib["name"], _whole(image.attrib["height"]), _whole(image.attrib["width"])
            shapes = sorted(enumerate(image), key=lambda one: (float(one[1].get("z_order", 0)), one[0]))
        except (KeyError, ValueError, OverflowError) as error:
            raise UserError(f"{labels}: name, width, height or a z_order is missing or no number ({error})") from error
        path = finder.find(name, labels)
        found = tuple(_shapes(shapes, height, width, ids, labels, problems))
        split = split_of(image.get("subset", "")) or "train"
        yield LabelledPhoto(split, path, path.relative_to(finder.root).as_posix(), height, width, found, labels)


def _shapes(
    elements: list[tuple[int, ElementTree.Element]],
    height: int,
    width: int,
    ids: dict[str, int],
    labels: str,
    problems: list[Problem],
) -> Iterator[Shape]:
    for index, element in elements:
        called = f"{element.tag} {index + 1}"
        if element.tag in NO_MASKS:
            problems.append(Problem(labels, called, "is neither a polygon, an ellipse nor a mask", SKIPPED))
        if element.tag not in ("polygon", "ellipse", "mask"):
            continue
        label = _label(element)
        if label not in ids:
            raise UserError(f"{labels}, {called}: its label {label!r} is not among the file's labels")
        try:
            segmentation = _segmentation(element, height, width)
        except (KeyError, ValueError, OverflowError) as error:
            problems.append(Problem(labels, called, f"cannot be read ({error})", SKIPPED))
            continue
        yield Shape(ids[label], segmentation, called)


def _label(element: ElementTree.Element) -> str:
    return element.get("label", "").strip()


def _whole(text: str) -> int:
    """Return a whole number, which some tools write as "7.0"; of a fraction the whole part."""
    return int(float(text))


def _segmentation(element: ElementTree.Element, height: int, width: int) -> Any:
    if element.tag == "mask":
        return _mask(element, height, width)
    if element.tag == "ellipse":
        stated = (element.attrib[key] for key in ("cx", "cy", "rx", "ry"))
        return ellipse(*map(float, stated), float(element.get("rotation", 0)))
    return _polygon(element)


def _polygon(element: ElementTree.Element) -> list[list[float]]:
    return [[float(text) for point in element.attrib["points"].split(";") for text in point.split(",")]]


def _mask(element: ElementTree.Element, height: int, width: int) -> dict[str, Any]:
    """Return the RLE of a mask, whose runs count the pixels of its box row by row, off, on, off, …

    What lies out of the image is cut off, as of a polygon.
    """
    left, top, columns, rows = (_whole(element.attrib[key]) for key in ("left", "top", "width", "height"))
    runs = np.array([int(text) for text in element.attrib["rle"].split(",")])
    if (runs < 0).any() or runs.sum() != rows * columns:
        raise ValueError(f"its runs cover {runs.sum()} pixels, but its box has {rows * columns}")
    if max(columns, rows) > FARTHEST * max(height, width):
        raise ValueError(f"its box of {columns}x{rows} pixels is far larger than the {width}x{height} image")
    if left >= width or top >= height or left + columns <= 0 or top + rows <= 0:
        raise ValueError(f"its box lies wholly outside the {width}x{height} image")
    pixels = np.zeros((height, width), np.uint8, order="F")
    box = np.repeat(np.arange(runs.size) % 2, runs).reshape(rows, columns)
    inside = box[max(0, -top) : height - top, max(0, -left) : width - left]
    pixels[max(0, top) :, max(0, left) :][: inside.shape[0], : inside.shape[1]] = inside
    return as_json(coco_mask.encode(pixels))
