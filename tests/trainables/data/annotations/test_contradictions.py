"""Signs that the masks of a COCO file are not what their makers saw."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.trainables.data.made import annotation, box, coco, image, write
from trainables.data.coco import load_annotations

HEIGHT, WIDTH = 40, 60
PLACES = ((6, 10), (20, 8), (40, 12), (10, 20))


def told(tmp_path, annotations, images=None):
    images = images or [image(1, "a.png", WIDTH, HEIGHT)]
    dataset = load_annotations(write(tmp_path, photos=False, train=coco(images, annotations)))
    return [problem for problem in dataset.problems if problem.id is None]


def by_rows(polygons):
    """The pixels of polygons as runs that count row by row, as COCO's do not."""
    pixels = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, HEIGHT, WIDTH))).ravel()
    ends = np.flatnonzero(np.diff(pixels)) + 1
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *ends, pixels.size]).tolist()}


def boxed(segmentation_of, box_of=lambda x, y: [x, y, 12, 9]):
    return [
        annotation(number, 1, 1, segmentation_of(box(x, y, 12, 9)), bbox=box_of(x, y))
        for number, (x, y) in enumerate(PLACES, start=1)
    ]


@pytest.mark.parametrize("segmentation_of", [by_rows, lambda polygons: [[0.5 * value for value in polygons[0]]]])
def test_boxes_tell_of_pixels_in_another_order_or_of_another_size(tmp_path, segmentation_of):
    (problem,) = told(tmp_path, boxed(segmentation_of))
    assert "the bbox of each of 4 annotations, such as id 1, is not where the pixels" in problem.what


@pytest.mark.parametrize(
    "box_of",
    [
        lambda x, y: [x, y, 12, 9],
        lambda x, y: [x - 2, y - 1, 14, 11],
        lambda x, y: [x, y, x + 12, y + 9],
        lambda x, y: [x - 1, y - 5, 19, 25],
        lambda x, y: [0, 0, 0, 0],
        lambda x, y: [x / WIDTH, y / HEIGHT, 12 / WIDTH, 9 / HEIGHT],
        lambda x, y: [],
        lambda x, y: ["x"] * 4,
        lambda x, y: [float("nan"), 1, 5, 5],
        lambda x, y: None,
    ],
)
def test_boxes_of_any_habit_are_no_sign(tmp_path, box_of):
    assert told(tmp_path, boxed(lambda polygons: polygons, box_of)) == []


def test_one_wrong_box_among_many_is_no_sign(tmp_path):
    shapes = boxed(lambda polygons: polygons)
    shapes[0]["bbox"] = [50, 30, 5, 5]
    assert told(tmp_path, shapes) == []


WHOLE, HOLE, APART = box(2, 2, 20, 20), box(6, 6, 8, 8), box(40, 10, 8, 8)


@pytest.mark.parametrize("more", [{}, {"area": 20 * 20 - 8 * 8}, {"area": 0}, {"area": None}, {"area": float("nan")}])
def test_a_polygon_inside_another_is_told(tmp_path, more):
    (problem,) = told(tmp_path, [annotation(7, 1, 1, WHOLE + HOLE, **more), annotation(8, 1, 2, WHOLE + APART)])
    assert problem.what.startswith("an annotation (id 7) has a polygon inside another one")


def test_one_that_the_stated_area_counts_is_no_hole(tmp_path):
    assert told(tmp_path, [annotation(7, 1, 1, WHOLE + HOLE, area=20 * 20 + 8 * 8)]) == []
    assert told(tmp_path / "twins", [annotation(7, 1, 1, WHOLE + WHOLE)]) == []


@pytest.mark.parametrize("left", [0.1, 0.4, 0.6, 0.9])
def test_a_small_polygon_whose_pixels_are_more_than_its_area_has_no_hole(tmp_path, left):
    outer, inner = box(left, 1.4, 3.2, 1.8), box(left + 0.8, 1.8, 1.4, 1)
    assert told(tmp_path, [annotation(7, 1, 1, outer + inner, area=3.2 * 1.8)]) == []


@pytest.mark.parametrize(("key", "step"), [("category_id", -1), ("category_id", 1), ("image_id", -1), ("image_id", 1)])
def test_ids_that_are_counted_from_another_number_are_told(tmp_path, key, step):
    images = [image(1, "a.png"), image(2, "b.png")]
    shapes = [annotation(number, number, number) for number in (1, 2)]
    assert told(tmp_path / "sound", shapes, images) == []
    (problem,) = told(tmp_path, [{**one, key: one[key] + step} for one in shapes], images)
    assert f"not every {key} of its annotations is listed" in problem.what
    assert ("one more" if step < 0 else "one less") in problem.what


def test_the_panoptic_format_is_named(tmp_path):
    entry = {"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 1, "category_id": 1}]}
    train = coco([image(1, "a.png")], [annotation(1, 1, 1), entry])
    (problem,) = load_annotations(write(tmp_path, photos=False, train=train)).problems
    assert "annotation in COCO's panoptic format" in problem.what


def test_the_same_pixels_with_two_categories_are_told(tmp_path):
    images = [image(1, "a.png", WIDTH, HEIGHT), image(2, "b.png", WIDTH, HEIGHT)]
    same, other = box(5, 5, 9, 9), box(20, 20, 9, 9)
    shapes = [
        annotation(1, 1, 1, same),
        annotation(2, 1, 1, same),
        annotation(3, 2, 2, same),
        annotation(4, 1, 2, other),
    ]
    assert told(tmp_path, shapes, images) == []
    (problem,) = told(tmp_path, [*shapes, annotation(5, 1, 2, same)], images)
    assert problem.what == "an annotation (id 5) has the very pixels of an earlier one of another category"
