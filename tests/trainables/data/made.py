"""Small COCO data sets written for a test, and the places of the real ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data.dataset import ImageRecord

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def real(name: str) -> Path:
    """The directory of a real data set; skips the test where it is not there."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"needs ../shared/data/{name}, a real data set that is not part of the repository")
    return SHARED / name


def box(x: float, y: float, width: float, height: float) -> list[list[float]]:
    """A rectangle as COCO polygons."""
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def image(identifier: int, file_name: str, width: int = 20, height: int = 10) -> dict[str, Any]:
    return {"id": identifier, "file_name": file_name, "width": width, "height": height}


def annotation(
    identifier: int, image_id: int, category_id: int, segmentation: Any = None, **more: Any
) -> dict[str, Any]:
    segmentation = box(2, 2, 6, 4) if segmentation is None else segmentation
    return {
        "id": identifier,
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": segmentation,
        "iscrowd": 0,
        **more,
    }


CATEGORIES = [{"id": 1, "name": "Paper"}, {"id": 2, "name": "Glass"}]


def coco(images: list[dict], annotations: list[dict], categories: list[dict] | None = None) -> dict[str, Any]:
    return {
        "images": images,
        "annotations": annotations,
        "categories": CATEGORIES if categories is None else categories,
    }


def small() -> dict[str, Any]:
    """A sound train.json: two images, one annotation each."""
    return coco([image(1, "a.png"), image(2, "b.png")], [annotation(1, 1, 1), annotation(2, 2, 2)])


def write_photo(path: Path, width: int, height: int, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write(root: Path, *, photos: bool = True, **contents: Any) -> Path:
    """Writes train=..., val=..., test=... as JSON, and a photo of its own for every image that they list."""
    root.mkdir(parents=True, exist_ok=True)
    for split, content in contents.items():
        (root / f"{split}.json").write_text(json.dumps(content))
        for number, entry in enumerate(content["images"] if photos else []):
            seed = 1000 * sum(map(ord, split)) + number
            write_photo(root / entry["file_name"], entry["width"], entry["height"], seed)
    return root


def record(*annotations: Any, height: int = 10, width: int = 20, row: int = 0, **more: str) -> ImageRecord:
    name = f"{row}.png"
    return ImageRecord(row, row, "train", name, Path(name), height, width, annotations, True, **more)
