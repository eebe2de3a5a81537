"""Writes a data set of ours for other tools: PNG masks, or COCO."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from trainables.data.dataset import Dataset, ImageRecord
from trainables.data.formats.class_lists import voc_colour
from trainables.data.formats.write import as_json
from trainables.data.layout import SPLITS
from trainables.errors import UserError
from trainables.files import new_directory

Progress = Callable[[int], None]


def export_masks(dataset: Dataset, out: Path, progress: Progress | None = None) -> None:
    """Write class maps as palette PNGs, <split>/masks/<name>.png, beside <split>/images/<name>, and classes.txt.

    The value of a pixel is its class id, 255 is no class; classes.txt has a line `value name` for each class, so that
    `segvote data import masks` reads the same class maps back. Images without labels get no mask. Raises UserError
    where `out` exists or two photos would have one name.
    """
    colours = [value for number in range(256) for value in voc_colour(number)]

    def write(image: ImageRecord, directory: Path) -> None:
        if image.labelled:
            picture = Image.fromarray(dataset.mask(image.row), "P")
            picture.putpalette(colours)
            target = (directory / image.split / "masks" / _name(image)).with_suffix(".png")
            if target.exists():
                raise UserError(
                    f"{image.file_name}: the mask of another photo would have its name, {target.name}; rename one"
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.save(target)
        _place(image, directory / image.split / "images" / _name(image))

    with new_directory(Path(out).absolute()) as building:
        _each(dataset, building, write, progress)
        lines = [f"{class_id} {name}\n" for class_id, name in enumerate(dataset.class_names)]
        (building / "classes.txt").write_text("".join(lines), encoding="utf-8")


def export_coco(dataset: Dataset, out: Path, progress: Progress | None = None) -> None:
    """Write the data set as COCO: out/<split>.json and out/images, with what was skipped on loading left out.

    Segmentations are compressed RLE. Ids of images are those of the data set. Raises UserError where
    `out` exists.
    """

    def write(image: ImageRecord, directory: Path) -> None:
        _place(image, directory / image.file_name)

    with new_directory(Path(out).absolute()) as building:
        for split in SPLITS:
            images = [dataset.images[row] for row in dataset.rows(split)]
            if images:
                (building / f"{split}.json").write_text(json.dumps(_coco(dataset, images)))
        _each(dataset, building, write, progress)


EXPORTERS: dict[str, Callable[[Dataset, Path, Progress | None], None]] = {"masks": export_masks, "coco": export_coco}


def _each(
    dataset: Dataset, directory: Path, write: Callable[[ImageRecord, Path], None], progress: Progress | None
) -> None:
    for done, image in enumerate(dataset.images, start=1):
        write(image, directory)
        if progress is not None:
            progress(done)


def _name(image: ImageRecord) -> str:
    return image.file_name.removeprefix("./").removeprefix("images/").removeprefix(f"{image.split}/")


def _place(image: ImageRecord, target: Path) -> None:
    if target.exists():
        raise UserError(
            f"{image.file_name}: another photo of {image.split}.json would have its name, {target.name}; rename one"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(image.path.resolve(), target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(image.path, target)


def _coco(dataset: Dataset, images: list[ImageRecord]) -> dict:
    listed = [
        {"id": one.image_id, "file_name": one.file_name, "height": one.height, "width": one.width}
        | ({"group": one.group} if one.group else {})
        for one in images
    ]
    owned = [(image, annotation) for image in images for annotation in image.annotations]
    annotations = [
        {
            "id": number,
            "image_id": image.image_id,
            "category_id": annotation.category_id,
            "segmentation": as_json(annotation.segmentation),
            "area": int(annotation.area),
            "bbox": np.asarray(coco_mask.toBbox(annotation.segmentation)).tolist(),
            "iscrowd": 0,
        }
        for number, (image, annotation) in enumerate(owned, start=1)
    ]
    categories = [{"id": one.id, "name": one.name} for one in dataset.categories]
    labels = {"annotations": annotations} if any(image.labelled for image in images) else {}
    return {"images": listed, **labels, "categories": categories}
