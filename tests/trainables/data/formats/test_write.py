"""The data set that an import writes."""

import json

import numpy as np
import pytest

from tests.trainables.data.formats.reading import photo
from tests.trainables.data.made import box
from trainables.data.annotations.masks import to_rle
from trainables.data.formats.imported import Imported, LabelledPhoto, Shape
from trainables.data.formats.write import write_dataset
from trainables.errors import UserError


def photos(root, *names, split="train", shapes=()):
    for name in names:
        yield LabelledPhoto(split, photo(root / name, 20, 10), name, 10, 20, tuple(shapes), f"{name}.txt")


def shape(segmentation, name="shape 1", category=1):
    return Shape(category, segmentation, name)


def imported(items, **more):
    return Imported({1: "Paper", 2: "Glass"}, items, 1, **more)


def test_photos_are_links_or_copies(tmp_path):
    one = [shape(box(2, 2, 6, 4))]
    write_dataset(tmp_path / "linked", imported(photos(tmp_path / "src", "a.png", shapes=one)))
    write_dataset(tmp_path / "copied", imported(photos(tmp_path / "src", "a.png", shapes=one)), copy=True)
    original = (tmp_path / "src/a.png").stat()
    assert (tmp_path / "linked/images/train/a.png").stat().st_ino == original.st_ino
    assert (tmp_path / "copied/images/train/a.png").stat().st_ino != original.st_ino


def test_shapes_that_cannot_be_used_are_skipped_and_named(tmp_path):
    broken = [shape([[1, 1, 2]], "line 1"), shape(box(30, 30, 5, 5), "line 2"), shape(box(2, 2, 6, 4), "line 3")]
    report = write_dataset(tmp_path / "out", imported(photos(tmp_path / "src", "a.png", shapes=broken)))
    assert [(p.file, p.id) for p in report.problems] == [("a.png.txt", "line 1"), ("a.png.txt", "line 2")]
    assert report.shapes == {"train": 1}


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (lambda root: photos(root, "a.png", "a.png", shapes=[shape(box(2, 2, 6, 4))]), "a.png comes twice in train"),
        (lambda root: photos(root, "a.png", split="val", shapes=[shape(box(2, 2, 6, 4))]), "no photo is for training"),
        (lambda root: photos(root, "a.png"), "train.json: has no annotation at all"),
    ],
)
def test_what_is_no_data_set_leaves_nothing_behind(tmp_path, items, message):
    with pytest.raises(UserError, match=message) as error:
        write_dataset(tmp_path / "out", imported(items(tmp_path / "src")))
    assert ".out." not in str(error.value)  # the directory in which it was built is gone
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_nothing_is_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="exists already"):
        write_dataset(tmp_path / "out", imported(photos(tmp_path / "src", "a.png")))


def test_area_and_box_are_those_of_the_pixels(tmp_path):
    write_dataset(tmp_path / "out", imported(photos(tmp_path / "src", "a.png", shapes=[shape(box(2, 2, 6, 4))])))
    one = json.loads((tmp_path / "out/train.json").read_text())["annotations"][0]
    assert (one["area"], one["bbox"]) == (24, [2.0, 2.0, 6.0, 4.0])


def test_layers_are_cut_where_something_hides_them(tmp_path):
    shapes = [shape(box(2, 2, 6, 4), "low"), shape(box(4, 2, 12, 4), "high", 2)]
    items = photos(tmp_path / "src", "a.png", shapes=shapes)
    report = write_dataset(tmp_path / "out", imported(items, layered=True))
    low, high = report.dataset.images[0].annotations
    assert (low.area, high.area) == (8, 48)
    assert high.segmentation == to_rle(box(4, 2, 12, 4), 10, 20)
    assert np.isclose(low.area + high.area, 56)
