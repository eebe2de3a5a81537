"""The built-in data set: what is promised of its files, frequencies, outlines and pictures."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from trainables.data.sample import photo
from trainables.data.sample.dataset import CATEGORY_IDS, FREQUENCIES, plan_objects, share_out, split_rng, write_sample
from trainables.data.sample.photo import (
    LENGTHS,
    PAINTERS,
    cast_shadow,
    draw_object,
    draw_scene,
    place_objects,
    random_light,
)
from trainables.errors import UserError

SMALL = {"train": 6, "val": 2, "test": 1, "size": 96}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("data") / "sample", **SMALL)


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def decode(segmentation: list[list[float]], size: int) -> np.ndarray:
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(segmentation, size, size))).astype(bool)


def test_categories_are_the_ten_trash_classes_numbered_from_1(small: Path) -> None:
    categories = json.loads((small / "train.json").read_text())["categories"]
    assert [(each["id"], each["name"]) for each in categories] == [
        (1, "General trash"),
        (2, "Paper"),
        (3, "Paper pack"),
        (4, "Metal"),
        (5, "Glass"),
        (6, "Plastic"),
        (7, "Styrofoam"),
        (8, "Plastic bag"),
        (9, "Battery"),
        (10, "Clothing"),
    ]
    assert set(PAINTERS) == set(LENGTHS) == set(CATEGORY_IDS)


def test_every_listed_image_is_a_jpeg_of_the_stated_size(small: Path) -> None:
    for split in ("train", "val", "test"):
        images = json.loads((small / f"{split}.json").read_text())["images"]
        assert len(images) == SMALL[split]
        for each in images:
            with Image.open(small / each["file_name"]) as photo:
                assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", (each["width"], each["height"]))
                assert photo.size == (96, 96)
                assert np.asarray(photo).std() > 5


def test_every_planned_object_has_a_valid_annotation(small: Path) -> None:
    coco = json.loads((small / "train.json").read_text())
    plan = plan_objects(0, "train", SMALL["train"])
    drawn = Counter((each["image_id"], each["category_id"]) for each in coco["annotations"])
    assert drawn == Counter((index + 1, CATEGORY_IDS[name]) for index, names in enumerate(plan) for name in names)
    assert [each["id"] for each in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
    for each in coco["annotations"]:
        assert all(len(polygon) >= 6 and min(polygon) >= 0 and max(polygon) <= 96 for polygon in each["segmentation"])
        mask = decode(each["segmentation"], 96)
        left, top, width, height = each["bbox"]
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert each["area"] == mask.sum() > 0
        assert top - 1 <= rows[0] <= rows[-1] <= top + height + 1
        assert left - 1 <= columns[0] <= columns[-1] <= left + width + 1


def test_annotations_of_an_image_run_from_large_to_small(small: Path) -> None:
    annotations = json.loads((small / "train.json").read_text())["annotations"]
    for image in {each["image_id"] for each in annotations}:
        areas = [each["area"] for each in annotations if each["image_id"] == image]
        assert areas == sorted(areas, reverse=True)


@pytest.mark.parametrize("name", list(FREQUENCIES))
def test_polygons_fit_the_object_that_changes_the_picture(name: str) -> None:
    size, side = 192, 288
    nearest = np.ix_(*2 * [(np.arange(size) * side) // size])
    for index in range(6):
        rng = split_rng(7, "train", index)
        (placed,) = place_objects(rng, [name], size)
        mask, (x0, y0, x1, y1) = decode(placed.polygons, size), placed.window
        outline = np.zeros((side, side), np.float32)
        outline[y0:y1, x0:x1] = placed.sprite.cover
        drawn = outline[nearest] > 0.5
        assert (mask & drawn).sum() >= 0.9 * drawn.sum()
        if name not in ("Plastic bag", "General trash"):
            assert (mask & drawn).sum() >= 0.85 * mask.sum(), "only handles and loops have holes"
        light, picture = random_light(rng), np.full((side, side, 3), 0.2, np.float32)
        only_shadow = picture.copy()
        cast_shadow(only_shadow, light, placed)
        draw_object(picture, light, placed)
        change = np.abs(picture - only_shadow).mean(axis=2)
        assert change[outline == 0].max() == 0
        assert change[nearest][mask].mean() > 0.02


def test_small_objects_lie_on_top_of_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    monkeypatch.setattr(photo, "draw_object", lambda picture, light, placed: order.append(placed.area))
    draw_scene(split_rng(1, "train", 0), ["Battery", "Clothing", "Paper", "Metal", "Plastic bag"], 96)
    assert len(order) == 5
    assert order == sorted(order, reverse=True)


def test_same_seed_gives_the_same_bytes_and_another_seed_others(small: Path, tmp_path: Path) -> None:
    assert contents(write_sample(tmp_path / "again", **SMALL)) == contents(small)
    other = contents(write_sample(tmp_path / "other", **SMALL, seed=1))
    assert other["images/train/0000.jpg"] != contents(small)["images/train/0000.jpg"]


def test_images_do_not_depend_on_the_order_of_drawing() -> None:
    names = ["Paper", "Glass"]
    first = draw_scene(split_rng(0, "val", 3), names, 64)[0]
    draw_scene(split_rng(0, "val", 4), names, 64)
    assert np.array_equal(draw_scene(split_rng(0, "val", 3), names, 64)[0], first)


def test_no_image_is_in_two_splits() -> None:
    drawn = [draw_scene(split_rng(0, split, 0), ["Paper"], 64)[0] for split in ("train", "val", "test")]
    assert not any(np.array_equal(drawn[a], drawn[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("seed", range(3))
def test_objects_are_as_unequal_as_in_recycling_photos(seed: int) -> None:
    counts = Counter(name for names in plan_objects(seed, "train", 240) for name in names)
    total = sum(counts.values())
    assert 4 <= total / 240 <= 6
    for name, percent in FREQUENCIES.items():
        assert abs(100 * counts[name] / total - percent) < 0.2, name
    assert (FREQUENCIES["Paper"], FREQUENCIES["Plastic bag"], FREQUENCIES["Battery"]) == (35, 29, 0.3)
    assert sum(FREQUENCIES.values()) == pytest.approx(100)


@pytest.mark.parametrize("images", [12, 24, 60])
def test_each_class_occurs_twice_in_a_small_train_split(images: int) -> None:
    counts = Counter(name for names in plan_objects(0, "train", images) for name in names)
    assert set(counts) == set(FREQUENCIES)
    assert min(counts.values()) == 2


@pytest.mark.parametrize(
    ("total", "weights", "at_least", "expected"),
    [
        (10, [1, 1], 0, [5, 5]),
        (3, [1, 1], 0, [2, 1]),
        (100, [90, 9.7, 0.3], 0, [90, 10, 0]),
        (100, [90, 9.7, 0.3], 2, [88, 10, 2]),
        (3, [98, 1, 1], 1, [1, 1, 1]),
    ],
)
def test_share_out(total: int, weights: list[float], at_least: int, expected: list[int]) -> None:
    assert share_out(total, weights, at_least) == expected


def test_a_finished_directory_is_kept_as_it_is(small: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    assert write_sample(small, **SMALL) == small
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def tiny(directory: Path, **changes: int) -> Path:
    return write_sample(directory, **{"train": 1, "val": 0, "test": 0, "size": 32, **changes})


def test_other_arguments_or_another_generator_replace_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = contents(tiny(tmp_path / "s"))
    assert set(first) == {"train.json", "sample.json", "images/train/0000.jpg"}
    assert set(contents(tiny(tmp_path / "s", val=1))) == {*first, "val.json", "images/val/0000.jpg"}
    recipe = json.loads((tmp_path / "s" / "sample.json").read_text())
    (tmp_path / "s" / "sample.json").write_text(json.dumps({**recipe, "generator": 0}))
    assert contents(tiny(tmp_path / "s")) == first


@pytest.mark.parametrize("lost", ["train.json", "images/train/0000.jpg"])
def test_a_directory_that_lost_a_file_is_made_again(tmp_path: Path, lost: str) -> None:
    whole = contents(tiny(tmp_path / "s"))
    (tmp_path / "s" / lost).unlink()
    assert contents(tiny(tmp_path / "s")) == whole


def test_an_interrupted_run_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "s", **SMALL, progress=stop)
    assert not (tmp_path / "s").exists()
    assert (tmp_path / ".s.partial" / "images").is_dir()
    assert set(contents(tiny(tmp_path / "s"))) == {"train.json", "sample.json", "images/train/0000.jpg"}
    assert not (tmp_path / ".s.partial").exists()


def test_a_half_written_or_foreign_directory_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "train.json").write_text("{}")
    with pytest.raises(UserError, match=r"has no sample\.json.* choose another directory"):
        tiny(tmp_path / "s")
    assert (tmp_path / "s" / "train.json").read_text() == "{}"


@pytest.mark.parametrize(("name", "value"), [("train", 0), ("val", -1), ("size", 8), ("seed", -1)])
def test_impossible_arguments_are_named(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(UserError, match=f"sample: {name} is {value}, but must be at least"):
        tiny(tmp_path / "s", **{name: value})
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_image_of_all_splits(tmp_path: Path) -> None:
    seen = []
    write_sample(
        tmp_path / "s", train=2, val=1, test=1, size=32, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def mean_colours(seed: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean colour of `each` objects of every class, every one alone in its photo, and their class numbers."""
    colours, classes = [], []
    for number, name in enumerate(FREQUENCIES):
        for index in range(each):
            photo, (placed,) = draw_scene(split_rng(seed, "train", number * 1000 + index), [name], 64)
            colours.append(photo[decode(placed.polygons, 64)].mean(axis=0))
            classes.append(number)
    return np.array(colours), np.array(classes)


def test_colour_alone_does_not_tell_the_classes_apart() -> None:
    """Given each object's true outline, the nearest class by mean colour is right less than 4 times in 10."""
    known, known_classes = mean_colours(11, 12)
    centres = np.array([known[known_classes == number].mean(axis=0) for number in range(10)])
    asked, truth = mean_colours(12, 12)
    guess = np.linalg.norm(asked[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (guess == truth).mean() < 0.4
