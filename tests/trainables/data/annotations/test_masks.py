"""Class maps: what lies on top, every form of segmentation, and the real data sets' own statistics."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from tests.trainables.data.made import box, real
from trainables.data import load_dataset
from trainables.data.annotations.masks import area_of, paint_mask, run_lengths, to_rle

# Of pycocotools' own decode, which these tests compare with.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def rectangle(class_id: int, x: int, y: int, width: int, height: int) -> tuple[list, int]:
    return box(x, y, width, height), class_id


def paint(*objects: tuple, size: tuple[int, int] = (10, 20), fill: int = 0) -> np.ndarray:
    return paint_mask(objects, size, fill=fill)


def expected(*rectangles: tuple[int, int, int, int, int], fill: int = 0) -> np.ndarray:
    mask = np.full((10, 20), fill, np.uint8)
    for class_id, x, y, width, height in rectangles:
        mask[y : y + height, x : x + width] = class_id
    return mask


def test_the_smaller_lies_on_top_whatever_the_order_in_the_file():
    large, small = rectangle(1, 0, 0, 12, 8), rectangle(2, 3, 2, 4, 3)
    painted = expected((1, 0, 0, 12, 8), (2, 3, 2, 4, 3))
    np.testing.assert_array_equal(paint(large, small), painted)
    np.testing.assert_array_equal(paint(small, large), painted)


def test_of_two_of_equal_area_the_later_in_the_file_lies_on_top():
    first, second = rectangle(1, 0, 0, 6, 6), rectangle(2, 3, 0, 6, 6)
    np.testing.assert_array_equal(paint(first, second), expected((1, 0, 0, 6, 6), (2, 3, 0, 6, 6)))
    np.testing.assert_array_equal(paint(second, first), expected((2, 3, 0, 6, 6), (1, 0, 0, 6, 6)))


def test_pixels_without_annotation_are_fill():
    np.testing.assert_array_equal(paint(rectangle(3, 4, 1, 5, 2), fill=255), expected((3, 4, 1, 5, 2), fill=255))
    assert paint().sum() == 0


def test_a_polygon_of_several_parts_paints_all_of_them():
    two = (box(0, 0, 3, 3) + box(10, 5, 4, 2), 1)
    np.testing.assert_array_equal(paint(two), expected((1, 0, 0, 3, 3), (1, 10, 5, 4, 2)))


def test_a_polygon_that_leaves_the_image_is_cut_at_its_border():
    partly = (box(15, -5, 30, 10), 1)
    np.testing.assert_array_equal(paint(partly), expected((1, 15, 0, 5, 5)))


@pytest.mark.parametrize("form", ["uncompressed", "compressed text", "compressed bytes"])
def test_rle_is_column_major_in_each_of_its_forms(form):
    mask = np.zeros((10, 20), np.uint8)
    mask[1:4, 7] = 1
    mask[9, 18:] = 1
    segmentation = {"size": [10, 20], "counts": [71, 3, 115, 1, 9, 1]}
    if form != "uncompressed":
        segmentation = coco_mask.encode(np.asfortranarray(mask))
    if form == "compressed text":
        segmentation = {"size": [10, 20], "counts": segmentation["counts"].decode()}
    painted = paint((segmentation, 3))
    np.testing.assert_array_equal(painted, 3 * mask)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_run_lengths_are_those_of_the_mask(seed, height, width, share):
    mask = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    runs = run_lengths(coco_mask.encode(np.asfortranarray(mask))["counts"])
    assert runs.sum() == height * width
    np.testing.assert_array_equal(np.repeat(np.arange(runs.size) % 2, runs), mask.ravel(order="F"))


@pytest.mark.parametrize("counts", [b"", b"\xff\xff", b"o", b"  ", b"oooooooooo0"])
def test_text_that_is_no_compressed_rle_is_refused(counts):
    with pytest.raises(ValueError, match="not a compressed RLE"):
        run_lengths(counts)


def paint_slowly(objects, size):
    """The rule of `paint_mask` said plainly, with pycocotools decoding every annotation."""
    mask = np.zeros(size, np.uint8)
    decoded = [(coco_mask.decode(to_rle(segmentation, *size)), class_id) for segmentation, class_id in objects]
    for pixels, class_id in sorted(decoded, key=lambda pair: -int(pair[0].sum())):
        mask[pixels == 1] = class_id
    return mask


@given(st.integers(0, 2**32 - 1))
def test_painting_equals_the_slow_way_on_random_polygons(seed):
    random = np.random.default_rng(seed)
    objects = [
        ([random.uniform(-5, 30, 2 * random.integers(3, 8)).tolist()], int(random.integers(1, 4)))
        for _ in range(random.integers(0, 7))
    ]
    size = int(random.integers(1, 25)), int(random.integers(1, 25))
    np.testing.assert_array_equal(paint(*objects, size=size), paint_slowly(objects, size))


@pytest.mark.parametrize("name", ["recycle60", "garbage6", "camvid"])
def test_pixel_shares_of_real_data_are_those_of_its_readme(name):
    root = real(name)
    lines = re.findall(r"^\| \d+ \|.*\|$", (root / "README.md").read_text(), re.MULTILINE)
    table = np.array([[float(line.split("|")[column]) for column in (5, 8)] for line in lines])
    dataset = load_dataset(root)
    for split, stated in zip(("train", "val"), table.T):
        counts = sum(np.bincount(dataset.mask(row).ravel(), minlength=len(stated)) for row in dataset.rows(split))
        np.testing.assert_allclose(counts / counts.sum(), stated, atol=5.1e-5)


def test_category_zero_is_painted_on_real_data():
    content = json.loads((real("taco_annotations") / "annotations.json").read_text())
    entry = next(entry for entry in content["annotations"] if entry["category_id"] == 0)
    photo = next(photo for photo in content["images"] if photo["id"] == entry["image_id"])
    segmentation = to_rle(entry["segmentation"], photo["height"], photo["width"])
    painted = paint((segmentation, 1), size=(photo["height"], photo["width"]))
    assert (painted == 1).sum() == area_of(segmentation) == pytest.approx(entry["area"], rel=0.02)
