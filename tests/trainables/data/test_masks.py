"""Class maps: what lies on top, every form of segmentation, and the real data sets' own statistics."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from tests.trainables.data.made import box, real, record
from trainables.data import load_dataset
from trainables.data.coco import Annotation
from trainables.data.masks import area_of, paint_mask, run_lengths, to_rle

CLASSES = {1: 1, 2: 2, 3: 3}

# Of pycocotools' own decode, which these tests compare with.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def rectangle(category_id: int, x: int, y: int, width: int, height: int, area: float = 0.0) -> Annotation:
    return Annotation(0, category_id, box(x, y, width, height), area)


def expected(*rectangles: tuple[int, int, int, int, int], fill: int = 0) -> np.ndarray:
    mask = np.full((10, 20), fill, np.uint8)
    for class_id, x, y, width, height in rectangles:
        mask[y : y + height, x : x + width] = class_id
    return mask


def test_the_smaller_lies_on_top_whatever_the_order_in_the_file():
    large, small = rectangle(1, 0, 0, 12, 8), rectangle(2, 3, 2, 4, 3)
    painted = expected((1, 0, 0, 12, 8), (2, 3, 2, 4, 3))
    np.testing.assert_array_equal(paint_mask(record(large, small), CLASSES, fill=0), painted)
    np.testing.assert_array_equal(paint_mask(record(small, large), CLASSES, fill=0), painted)


def test_the_stated_area_does_not_decide_what_lies_on_top():
    large, small = rectangle(1, 0, 0, 12, 8, area=1.0), rectangle(2, 3, 2, 4, 3, area=9999.0)
    painted = expected((1, 0, 0, 12, 8), (2, 3, 2, 4, 3))
    np.testing.assert_array_equal(paint_mask(record(large, small), CLASSES, fill=0), painted)


def test_of_two_of_equal_area_the_later_in_the_file_lies_on_top():
    first, second = rectangle(1, 0, 0, 6, 6), rectangle(2, 3, 0, 6, 6)
    np.testing.assert_array_equal(
        paint_mask(record(first, second), CLASSES, fill=0), expected((1, 0, 0, 6, 6), (2, 3, 0, 6, 6))
    )
    np.testing.assert_array_equal(
        paint_mask(record(second, first), CLASSES, fill=0), expected((2, 3, 0, 6, 6), (1, 0, 0, 6, 6))
    )


def test_pixels_without_annotation_are_fill():
    np.testing.assert_array_equal(
        paint_mask(record(rectangle(3, 4, 1, 5, 2)), CLASSES, fill=255), expected((3, 4, 1, 5, 2), fill=255)
    )
    assert paint_mask(record(), CLASSES, fill=0).sum() == 0


def test_a_polygon_of_several_parts_paints_all_of_them():
    two = Annotation(0, 1, box(0, 0, 3, 3) + box(10, 5, 4, 2), 0.0)
    np.testing.assert_array_equal(paint_mask(record(two), CLASSES, fill=0), expected((1, 0, 0, 3, 3), (1, 10, 5, 4, 2)))


def test_a_polygon_that_leaves_the_image_is_cut_at_its_border():
    partly = Annotation(0, 1, box(15, -5, 30, 10), 0.0)
    np.testing.assert_array_equal(paint_mask(record(partly), CLASSES, fill=0), expected((1, 15, 0, 5, 5)))


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
    painted = paint_mask(record(Annotation(0, 3, segmentation, 0.0)), CLASSES, fill=0)
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


def paint_slowly(record, class_id_of, fill):
    """The rule of `paint_mask` said plainly, with pycocotools decoding every annotation."""
    mask = np.full((record.height, record.width), fill, np.uint8)
    decoded = [
        (coco_mask.decode(to_rle(one.segmentation, record.height, record.width)), class_id_of[one.category_id])
        for one in record.annotations
    ]
    for pixels, class_id in sorted(decoded, key=lambda pair: -int(pair[0].sum())):
        mask[pixels == 1] = class_id
    return mask


@given(st.integers(0, 2**32 - 1))
def test_painting_equals_the_slow_way_on_random_polygons(seed):
    random = np.random.default_rng(seed)
    annotations = [
        Annotation(0, int(random.integers(1, 4)), [random.uniform(-5, 30, 2 * random.integers(3, 8)).tolist()], 0.0)
        for _ in range(random.integers(0, 7))
    ]
    one = record(*annotations, height=int(random.integers(1, 25)), width=int(random.integers(1, 25)))
    np.testing.assert_array_equal(paint_mask(one, CLASSES, fill=0), paint_slowly(one, CLASSES, 0))


@pytest.mark.parametrize("name", ["recycle60", "garbage6", "camvid"])
def test_pixel_shares_of_real_data_are_those_of_its_readme(name):
    root = real(name)
    lines = re.findall(r"^\| \d+ \|.*\|$", (root / "README.md").read_text(), re.MULTILINE)
    table = np.array([[float(line.split("|")[column]) for column in (5, 8)] for line in lines])
    dataset = load_dataset(root)
    for split, stated in zip(("train", "val"), table.T):
        counts = sum(
            np.bincount(paint_mask(dataset.images[row], dataset.class_id_of, fill=0).ravel(), minlength=len(stated))
            for row in dataset.rows(split)
        )
        np.testing.assert_allclose(counts / counts.sum(), stated, atol=5.1e-5)


def test_category_zero_is_painted_on_real_data():
    content = json.loads((real("taco_annotations") / "annotations.json").read_text())
    entry = next(entry for entry in content["annotations"] if entry["category_id"] == 0)
    photo = next(photo for photo in content["images"] if photo["id"] == entry["image_id"])
    segmentation = to_rle(entry["segmentation"], photo["height"], photo["width"])
    one = record(Annotation(1, 0, segmentation, 0.0), height=photo["height"], width=photo["width"])
    painted = paint_mask(one, {0: 1}, fill=0)
    assert (painted == 1).sum() == area_of(segmentation) == pytest.approx(entry["area"], rel=0.02)
