"""Photos to predict, and what is said of those that cannot be."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data import made
from trainables.data.unlabelled import list_photos
from trainables.errors import UserError


def test_a_directory_is_read_at_any_depth_by_name(tmp_path):
    made.write_photo(tmp_path / "b.png", 20, 10)
    made.write_photo(tmp_path / "a" / "z.jpg", 8, 6)
    (tmp_path / "notes.txt").write_text("no photo")
    listed = list_photos(tmp_path)
    assert [(photo.file_name, photo.size, photo.image_id) for photo in listed.photos] == [
        ("a/z.jpg", (6, 8), 1),
        ("b.png", (10, 20), 2),
    ]


def test_a_coco_file_gives_names_ids_order_and_categories(tmp_path):
    images = [made.image(7, "b.png"), made.image(3, "batch/a.png")]
    made.write(tmp_path, test={"images": images, "categories": made.CATEGORIES})
    listed = list_photos(tmp_path / "test.json")
    assert [(photo.image_id, photo.file_name) for photo in listed.photos] == [(7, "b.png"), (3, "batch/a.png")]
    assert listed.category_ids == {"Paper": 1, "Glass": 2}


def test_photos_may_lie_below_images(tmp_path):
    made.write(tmp_path, photos=False, test={"images": [made.image(1, "a.png")]})
    made.write_photo(tmp_path / "images" / "a.png", 20, 10)
    assert list_photos(tmp_path / "test.json").photos[0].path == tmp_path / "images" / "a.png"


def test_a_photo_on_its_side_has_the_size_that_is_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    assert list_photos(tmp_path).photos[0].size == (20, 10)


def test_all_faults_are_listed_with_the_photo(tmp_path):
    made.write_photo(tmp_path / "good.png", 20, 10)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("this is no image")
    with pytest.raises(UserError) as error:
        list_photos(tmp_path)
    assert "empty.jpg" in str(error.value)
    assert "text.png" in str(error.value)
    assert "good.png" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nowhere", None, "neither a directory nor a file"),
        ("list.json", "[1]", "is not COCO"),
        ("broken.json", "{", "is not JSON"),
        ("none.json", json.dumps({"images": []}), "lists no image"),
        ("absent.json", json.dumps({"images": [made.image(1, "gone.png")]}), "gone.png cannot be read"),
        (
            "twice.json",
            json.dumps({"images": [made.image(1, "a.png"), made.image(2, "a.png")]}),
            "a.png is also image 1",
        ),
        ("escape.json", json.dumps({"images": [made.image(1, "../x.png")]}), "x.png"),
    ],
)
def test_other_sources_are_refused_by_name(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        list_photos(tmp_path / name)


def test_an_empty_directory_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no photo"):
        list_photos(tmp_path)


def test_another_size_than_stated_is_a_fault(tmp_path):
    made.write(tmp_path, photos=False, test={"images": [made.image(1, "a.png", 21, 10)]})
    made.write_photo(tmp_path / "a.png", 20, 10)
    with pytest.raises(UserError, match=r"a\.png is 20x10, but test\.json states 21x10"):
        list_photos(tmp_path / "test.json")
