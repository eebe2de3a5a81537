"""The numbers and the advice of a data report on a data set small enough to count by hand."""

import json

import pytest

from tests.trainables.data.made import annotation, box, coco, image, real, write
from trainables.data.coco import load_annotations, load_dataset
from trainables.data.exploration.advice import advise
from trainables.data.exploration.counts import count_numbers
from trainables.data.exploration.table import make_table

CATEGORIES = [{"id": 3, "name": "Paper"}, {"id": 5, "name": "Glass"}, {"id": 9, "name": "Metal"}]


@pytest.fixture
def root(tmp_path):
    """Three images of 200 pixels: Paper 100 with Glass 16 on it; Glass over the whole frame; nothing."""
    images = [image(1, "a.png"), image(2, "b.png"), image(3, "c.png")]
    shapes = [
        annotation(10, 1, 3, box(0, 0, 10, 10)),
        annotation(11, 1, 5, box(2, 2, 4, 4)),
        annotation(12, 2, 5, box(0, 0, 20, 10)),
    ]
    val = coco([image(1, "v.png")], [annotation(1, 1, 3, box(0, 0, 2, 2))], CATEGORIES)
    return write(tmp_path / "data", photos=False, train=coco(images, shapes, CATEGORIES), val=val)


def numbers_of(root):
    return count_numbers(make_table(load_annotations(root)))


def test_counts_and_shares_are_after_painting(root):
    numbers = numbers_of(root)
    paper, glass, metal = numbers["classes"]
    assert (paper["annotations"], paper["images"], paper["pixels"]) == (2, 2, 84 + 4)
    assert (glass["annotations"], glass["images"], glass["pixels"]) == (2, 2, 216)
    assert (metal["annotations"], metal["images"], metal["pixels"], metal["area_percentiles"]) == (0, 0, 0, {})
    assert paper["pixel_share"] == 88 / 800
    assert numbers["background_pixel_share"] == 1 - (88 + 216) / 800
    assert numbers["cooccurrence"] == [[2, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert numbers["unlabelled_images"] == {"count": 1, "listed": ["c.png"]}
    assert numbers["whole_frame_boxes"]["listed"] == [{"annotation": 12, "image": "b.png"}]
    assert numbers["hidden"]["partly"] == 1
    assert numbers["splits"]["train"]["pixels_by_class"] == [84, 216, 0]
    assert numbers["sizes"] == [{"width": 20, "height": 10, "images": 4}]
    assert numbers["annotations_per_image"]["images_by_value"] == {"0": 1, "1": 2, "2": 1}
    json.dumps(numbers)


def test_any_id_and_none_are_counted(tmp_path):
    whole = box(0, 0, 20, 10)
    shapes = [annotation(10**20, 1, 3, whole), annotation(1, 2, 3, whole), annotation(1, 2, 5, whole)]
    train = coco([image(1, "a.png"), image(2, "b.png")], shapes, CATEGORIES)
    numbers = numbers_of(write(tmp_path / "data", photos=False, train=train))
    assert numbers["annotations"] == 3
    assert "annotations[1]" in json.dumps(numbers)


def test_advice_names_what_to_look_at(root):
    advice = advise(numbers_of(root), folds=5)
    assert "No photo has Metal" in advice["classes"][0]
    assert "Fewer photos than 5 folds and a holdout: Paper (2), Glass (2)" in advice["classes"][1]
    assert "Glass is not in val" in advice["splits"][0]
    assert "1 photo has no label at all (c.png)" in advice["per_image"][0]
    assert "12 in b.png" in advice["boxes"][0]
    assert advise(numbers_of(root), folds=2)["classes"][1].startswith("Fewer photos than 2 folds")


def test_a_single_file_is_read_without_photos(root):
    dataset = load_annotations(root / "train.json")
    assert [one.split for one in dataset.images] == ["train"] * 3
    assert dataset.images[0].sha256 == ""


def test_annotations_are_those_that_a_search_sees():
    whole, alone = load_dataset(real("recycle60")), load_annotations(real("recycle60"))
    assert [one.annotations for one in whole.images] == [one.annotations for one in alone.images]
    assert [one.file_name for one in whole.images] == [one.file_name for one in alone.images]
    assert whole.problems == alone.problems


def test_taco_has_a_category_without_photo():
    numbers = count_numbers(make_table(load_annotations(real("taco_annotations") / "annotations.json")))
    assert (numbers["images"], numbers["annotations"], numbers["categories"]) == (1500, 4784, 60)
    assert "No photo has Plastified paper bag" in advise(numbers, 5)["classes"][0]
