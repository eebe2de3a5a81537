"""Pictures for tests of similarity: drawn ones with shapes that differ by a seed, and data sets of them."""

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.trainables.data.made import annotation, coco
from trainables.data import Dataset, load_dataset


def picture(seed: int, *, side: int = 256, background: int | None = None) -> np.ndarray:
    """RGB uint8 (side, side, 3): twenty shapes on a mottled background of that seed, or on an even one of that grey."""
    rng = np.random.default_rng(seed)
    mottled = cv2.resize(rng.integers(60, 200, (8, 8, 3), dtype=np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    drawn = mottled if background is None else np.full((side, side, 3), background, np.uint8)
    for _ in range(20 if background is None else 4):
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        centre, axes = rng.integers(side // 6, 5 * side // 6, 2), rng.integers(side // 20, side // 5, 2)
        cv2.ellipse(drawn, centre.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, colour, -1)
    return drawn


def dataset_of(root: Path, photos: dict[str, np.ndarray | bytes], **fields: dict[str, str]) -> Dataset:
    """A data set with these photos in train.json, by name; arrays are written as JPEGs of quality 95.

    `fields` are further keys of its images, as group={"a.jpg": "kitchen"}.
    """
    (root / "images").mkdir(parents=True)
    images = []
    for number, (name, photo) in enumerate(photos.items()):
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(photo, bytes):
            path.write_bytes(photo)
        else:
            Image.fromarray(photo).save(path, quality=95)
        with Image.open(path) as opened:
            width, height = opened.size
        more = {key: values[name] for key, values in fields.items() if name in values}
        images.append({"id": number, "file_name": name, "width": width, "height": height, **more})
    annotations = [annotation(number, number, 1 + number % 2) for number in range(len(images))]
    (root / "train.json").write_text(json.dumps(coco(images, annotations)))
    return load_dataset(root)
