"""The smallest study that trains: eight photos, two classes, and a model of half a million weights."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.trainables.data.made import annotation, box, coco, image, write
from trainables.config import TrialConfig
from trainables.data import Dataset, Splits, load_dataset
from trainables.study_data import StudyData

WIDTH, HEIGHT = 64, 48  # of the photos; trials train at less
SIDE = 24  # of the squares, pixels
COLOURS = {1: (220, 40, 40), 2: (40, 60, 220)}
SPLITS = Splits(holdout=(0, 1), folds=((2, 3), (4, 5), (6, 7)), test=(), seed=0)
PARAMS = {
    "head": "segformer",
    "backbone": "mobilenetv3_small_050",
    "pretrained": False,
    "image_size": "48x32",
    "augmentation": "none",
    "batch_size": 2,
    "lr": 3e-3,
    "epochs": 3,
    "precision": "fp32",
}


def write_data(root: Path) -> Path:
    """Eight grey photos, each with a red square (class 1) on the left and a blue one (class 2) on the right."""
    entries = [image(number, f"{number}.png", WIDTH, HEIGHT) for number in range(1, 9)]
    places = {number: ((4 + number, 2 + 2 * number), (34 - number % 4, 20 - 2 * number)) for number in range(1, 9)}
    annotations = [
        annotation(10 * number + category, number, category, box(*corner, SIDE, SIDE))
        for number, corners in places.items()
        for category, corner in enumerate(corners, start=1)
    ]
    write(root, photos=False, train=coco(entries, annotations))
    for number, corners in places.items():
        pixels = np.random.default_rng(number).integers(110, 140, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        for category, (x, y) in enumerate(corners, start=1):
            pixels[max(0, y) : y + SIDE, x : x + SIDE] = COLOURS[category]
        Image.fromarray(pixels).save(root / f"{number}.png")
    return root


def study_data(dataset: Dataset, cache_dir: Path, splits: Splits = SPLITS) -> StudyData:
    return StudyData(dataset.root, "background", dataset.fingerprint, dataset.class_names, splits, cache_dir)


def make_study_data(directory: Path) -> StudyData:
    root = write_data(directory / "data")
    return study_data(load_dataset(root), directory / "cache")


def params(**changes: Any) -> dict[str, Any]:
    return {**PARAMS, **changes}


def config(**changes: Any) -> TrialConfig:
    return TrialConfig.from_dict(params(**changes))


def timeless(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records without what no two runs share."""
    measured = ("epoch_s", "time", "images_per_s", "peak_memory_gb")
    return [{key: value for key, value in record.items() if key not in measured} for record in records]
