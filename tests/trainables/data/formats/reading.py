"""What the tests of all formats share: photos, and the class maps of what was imported, by category id."""

from pathlib import Path

import numpy as np
from PIL import Image

from trainables.data.annotations.masks import paint_mask
from trainables.data.coco import load_dataset
from trainables.data.dataset import Dataset
from trainables.data.formats.imported import ImportOptions
from trainables.data.formats.readers import READERS
from trainables.data.formats.write import ImportReport, write_dataset

NOTHING = 999  # no category id of any test; pixels that no annotation covers


def photo(path: Path, width: int = 24, height: int = 16, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([seed, *path.name.encode()]).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def import_from(name: str, source: Path, **options) -> tuple[ImportReport, Dataset]:
    """Import `source` beside itself, and load the result as a search would."""
    imported = READERS[name](source, ImportOptions(**options))
    out = source.parent / f"{source.name}-imported"
    report = write_dataset(out, imported)
    return report, load_dataset(out, unlabelled=imported.unlabelled)


def category_maps(dataset: Dataset) -> dict[str, np.ndarray]:
    """Category ids int (H, W) by the photo's bare name, NOTHING where there is no annotation."""
    maps = {}
    for image in dataset.images:
        objects = [(one.segmentation, dataset.class_id_of[one.category_id]) for one in image.annotations]
        class_map = paint_mask(objects, (image.height, image.width), fill=255)
        ids = np.full(256, NOTHING)
        for category in dataset.categories:
            ids[category.class_id] = category.id
        maps[image.path.name] = ids[class_map]
    return maps


def names(dataset: Dataset) -> dict[int, str]:
    return {category.id: category.name for category in dataset.categories}
