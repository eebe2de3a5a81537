"""The built-in data set: drawn photos of litter, written once as JPEGs and COCO polygons (see sample_scene)."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from trainables.data.sample.brush import Rng
from trainables.data.sample.photo import Placed, draw_scene
from trainables.errors import UserError
from trainables.hardware.cores import usable_cores

GENERATOR_VERSION = 1
JPEG_QUALITY = 90
MEAN_OBJECTS, MOST_OBJECTS = 5, 9
SPLITS = ("train", "val", "test")
# Percent of all objects, in the order of the category ids 1..10; as unequal as in photos of a recycling yard.
FREQUENCIES = {
    "General trash": 10.0,
    "Paper": 35.0,
    "Paper pack": 3.0,
    "Metal": 4.0,
    "Glass": 3.5,
    "Plastic": 10.0,
    "Styrofoam": 4.0,
    "Plastic bag": 29.0,
    "Battery": 0.3,
    "Clothing": 1.2,
}
CATEGORY_IDS = {name: index for index, name in enumerate(FREQUENCIES, start=1)}


@dataclass(frozen=True)
class Recipe:
    """What a sample was made from; equal recipes give equal bytes on one machine."""

    train: int
    val: int
    test: int
    size: int
    seed: int
    generator: int = GENERATOR_VERSION

    def __post_init__(self) -> None:
        for name, least in (("train", 1), ("val", 0), ("test", 0), ("size", 32), ("seed", 0)):
            value = getattr(self, name)
            if value < least:
                raise UserError(f"sample: {name} is {value}, but must be at least {least}")


def write_sample(
    directory: str | Path,
    *,
    train: int = 240,
    val: int = 60,
    test: int = 40,
    size: int = 256,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return the directory of the built-in data set, which is written first if it does not exist yet.

    It holds train.json, val.json and test.json (COCO; a split of 0 images has no file), images/SPLIT/NNNN.jpg, and
    sample.json with these arguments. A complete directory of the same arguments and generator is kept, and one of other
    arguments is replaced. The directory gets its name only when it is complete.

    Args:
        directory: The directory.
        train: The number of photos for training.
        val: The number of photos of the holdout.
        test: The number of photos of the test.
        size: The height and width of each photo, in pixels.
        seed: Decides what is drawn.
        progress: A function that is called after each photo with the number of photos done and of all.

    Raises:
        UserError: An argument is impossible, or `directory` holds something else.
    """
    recipe = Recipe(train, val, test, size, seed)
    directory = Path(directory).absolute()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(directory.with_name(f".{directory.name}.lock")):
        if is_complete(directory, recipe):
            return directory
        refuse_foreign(directory)
        partial_directory = directory.with_name(f".{directory.name}.partial")
        shutil.rmtree(partial_directory, ignore_errors=True)
        write_files(partial_directory, recipe, progress or (lambda done, total: None))
        if directory.exists():
            shutil.rmtree(directory)
        partial_directory.rename(directory)
    return directory


def is_complete(directory: Path, recipe: Recipe) -> bool:
    """Return whether `directory` holds all files of this recipe."""
    marker = directory / "sample.json"
    if not marker.is_file():
        return False
    try:
        same = json.loads(marker.read_text(encoding="utf-8")) == asdict(recipe)
    except ValueError:
        return False
    return same and all(
        (directory / f"{split}.json").is_file() and len(list((directory / "images" / split).glob("*.jpg"))) == count
        for split, count in split_sizes(recipe)
    )


def refuse_foreign(directory: Path) -> None:
    """Raise UserError where the directory holds files that this module did not write, which are never deleted."""
    if (
        directory.exists()
        and not (directory / "sample.json").exists()
        and (not directory.is_dir() or any(directory.iterdir()))
    ):
        raise UserError(
            f"{directory} is not a finished built-in data set (it has no sample.json) and is not empty: "
            "remove it or choose another directory"
        )


def split_sizes(recipe: Recipe) -> list[tuple[str, int]]:
    return [(split, getattr(recipe, split)) for split in SPLITS if getattr(recipe, split)]


def write_files(directory: Path, recipe: Recipe, progress: Callable[[int, int], None]) -> None:
    """Draw all images on a thread per core; sample.json, the mark of completeness, comes last."""
    total, done = recipe.train + recipe.val + recipe.test, 0
    with ThreadPoolExecutor(min(8, usable_cores())) as pool:
        for split, count in split_sizes(recipe):
            (directory / "images" / split).mkdir(parents=True)
            draw = partial(write_image, directory, recipe, split)
            drawn = []
            for annotations in pool.map(draw, range(count), plan_objects(recipe.seed, split, count)):
                drawn.append(annotations)
                done += 1
                progress(done, total)
            (directory / f"{split}.json").write_text(json.dumps(coco_file(recipe, split, drawn)), encoding="utf-8")
    (directory / "sample.json").write_text(json.dumps(asdict(recipe), indent=2), encoding="utf-8")


def split_rng(seed: int, split: str, *more: int) -> Rng:
    return np.random.default_rng([seed, SPLITS.index(split), *more])


def plan_objects(seed: int, split: str, images: int) -> list[list[str]]:
    """Return the class names of each image's objects, in random order, with the frequencies' exact shares of the split.

    Each class occurs in train at least twice, or as often as the number of objects allows.
    """
    rng = split_rng(seed, split)
    per_image = np.clip(rng.poisson(MEAN_OBJECTS, images), 1, MOST_OBJECTS)
    at_least = min(2, int(per_image.sum()) // len(FREQUENCIES)) if split == "train" else 0
    counts = share_out(int(per_image.sum()), list(FREQUENCIES.values()), at_least)
    deck = iter(rng.permutation(np.repeat(list(FREQUENCIES), counts)).tolist())
    return [[next(deck) for _ in range(count)] for count in per_image]


def share_out(total: int, weights: list[float], at_least: int) -> list[int]:
    """Return whole numbers that sum to `total` in proportion to `weights` (largest remainders), none below `at_least`.

    What the rare ones are given beyond their share is taken from the most frequent.
    """
    exact = np.array(weights) / sum(weights) * total
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    for rare in np.flatnonzero(counts < at_least):
        while counts[rare] < at_least:
            counts[np.argmax(counts)] -= 1
            counts[rare] += 1
    return counts.tolist()


def write_image(directory: Path, recipe: Recipe, split: str, index: int, names: list[str]) -> list[dict]:
    """Draw and save one image; its COCO annotations, largest first, still without ids."""
    photo, placed = draw_scene(split_rng(recipe.seed, split, index), names, recipe.size)
    Image.fromarray(photo).save(directory / file_name(split, index), quality=JPEG_QUALITY)
    return [annotation(each) for each in placed if each.polygons]


def file_name(split: str, index: int) -> str:
    return f"images/{split}/{index:04d}.jpg"


def annotation(placed: Placed) -> dict:
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in placed.polygons])
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return {
        "category_id": CATEGORY_IDS[placed.name],
        "segmentation": placed.polygons,
        "area": placed.area,
        "bbox": [round(float(value), 2) for value in (left, top, right - left, bottom - top)],
        "iscrowd": 0,
    }


def coco_file(recipe: Recipe, split: str, drawn: list[list[dict]]) -> dict:
    """Return the COCO file of a split from each image's annotations; ids start at 1."""
    return {
        "info": {"description": f"SegVote built-in data set, drawn by a program; {asdict(recipe)}"},
        "licenses": [],
        "categories": [{"id": key, "name": name, "supercategory": "trash"} for name, key in CATEGORY_IDS.items()],
        "images": [
            {"id": index + 1, "file_name": file_name(split, index), "width": recipe.size, "height": recipe.size}
            for index in range(len(drawn))
        ],
        "annotations": list(numbered(drawn)),
    }


def numbered(drawn: list[list[dict]]) -> Iterator[dict]:
    key = 0
    for index, annotations in enumerate(drawn):
        for each in annotations:
            key += 1
            yield {"id": key, "image_id": index + 1, **each}
