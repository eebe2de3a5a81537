"""Photos to predict, and what is said of those that cannot be."""

import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data import made
from trainables.data.photo_list import list_photos
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


@pytest.mark.parametrize("name", ["a.png", "list.txt", "photos.zip"])
def test_a_file_that_is_no_coco_file_is_told_apart_from_a_damaged_one(tmp_path, name):
    made.write_photo(tmp_path / "a.png", 20, 10)
    (tmp_path / "list.txt").write_text("a.png\n")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.write(tmp_path / "a.png")
    with pytest.raises(UserError, match=f"{name} is no COCO file: give the directory that the photos are in"):
        list_photos(tmp_path / name)


def test_a_coco_file_may_have_any_suffix(tmp_path):
    made.write(tmp_path, test=made.small())
    assert len(list_photos((tmp_path / "test.json").rename(tmp_path / "test.coco")).photos) == 2


def test_photos_may_lie_below_images(tmp_path):
    made.write(tmp_path, photos=False, test={"images": [made.image(1, "a.png")]})
    made.write_photo(tmp_path / "images" / "a.png", 20, 10)
    assert list_photos(tmp_path / "test.json").photos[0].path == tmp_path / "images" / "a.png"


def test_a_photo_whose_name_no_file_can_have_is_told(tmp_path):
    made.write(tmp_path, photos=False, test={"images": [made.image(1, 200 * "\u00e9" + ".png")]})
    with pytest.raises(UserError, match=r"id 1: .*png cannot be read \(File name too long\)"):
        list_photos(tmp_path / "test.json")


def test_a_coco_file_need_not_state_sizes(tmp_path):
    made.write_photo(tmp_path / "a.png", 20, 10)
    (tmp_path / "test.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "a.png"}]}))
    assert list_photos(tmp_path / "test.json").photos[0].size == (10, 20)


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


def names(listed):
    return [photo.file_name for photo in listed.photos]


def test_links_to_folders_are_followed(tmp_path):
    made.write_photo(tmp_path / "in" / "here" / "a.png", 20, 10)
    made.write_photo(tmp_path / "disk" / "b.png", 20, 10)
    (tmp_path / "in" / "there").symlink_to(tmp_path / "disk")
    (tmp_path / "in" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "disk" / "round").symlink_to(tmp_path / "in")
    listed = list_photos(tmp_path / "in")
    assert names(listed) == ["here/a.png", "there/b.png"]
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "there").symlink_to(tmp_path / "in" / "here")
    assert names(list_photos(tmp_path / "only")) == ["there/a.png"]


def test_links_to_photos_are_photos(tmp_path):
    made.write_photo(tmp_path / "disk" / "b.png", 20, 10)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").symlink_to(tmp_path / "disk" / "b.png")
    assert names(list_photos(tmp_path / "in")) == ["a.png"]


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints/a-checkpoint.png", "._a.png", ".trash/x/b.png", ".a.png"])
def test_what_is_hidden_is_no_photo(tmp_path, hidden):
    made.write_photo(tmp_path / "a.png", 20, 10)
    made.write_photo(tmp_path / hidden, 20, 10)
    listed = list_photos(tmp_path)
    assert names(listed) == ["a.png"]
    assert listed.notes == ()


def test_a_hidden_directory_that_is_asked_for_is_read(tmp_path):
    made.write_photo(tmp_path / ".cache" / "a.png", 20, 10)
    assert names(list_photos(tmp_path / ".cache")) == ["a.png"]


def test_what_is_left_out_is_counted_and_named(tmp_path):
    made.write_photo(tmp_path / "a.png", 20, 10)
    Image.new("RGB", (20, 10)).save(tmp_path / "b.jfif", "JPEG")
    for name in ("c.avif", "d", "1.HEIC", "2.heic", "3.heic", "x/4.heic", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "e.jpg").symlink_to(tmp_path / "nowhere")
    listed = list_photos(tmp_path)
    assert names(listed) == ["a.png", "b.jfif"]
    assert listed.notes == (
        f"left out of {tmp_path}: 4 .heic (1.HEIC, 2.heic, 3.heic, …), 1 .avif (c.avif), 1 without suffix (d), "
        "1 broken links (e.jpg), 1 .txt (notes.txt)",
    )


def test_a_directory_of_other_files_says_which(tmp_path):
    (tmp_path / "c.avif").touch()
    with pytest.raises(UserError, match=r"holds no photo \(.*\): 1 \.avif \(c\.avif\)"):
        list_photos(tmp_path)


def test_a_name_that_is_no_utf_8_is_told(tmp_path):
    made.write_photo(tmp_path / "a.png", 20, 10)
    try:
        os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(UserError, match=r"caf\\udce9\.png: has a name that is not in UTF-8; rename it") as error:
        list_photos(tmp_path)
    str(error.value).encode()


def test_doubtful_photos_of_a_coco_file_are_noted(tmp_path):
    made.write(tmp_path, photos=False, test={"images": [made.image(1, "a.png"), made.image(2, "b.png")]})
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(np.full((10, 20), 4000, np.uint16)).save(tmp_path / "b.png")
    turned, deep = list_photos(tmp_path / "test.json").notes
    assert turned.startswith("test.json, id 1: a.png has an EXIF orientation that its size neither confirms nor")
    assert deep == "1 photos with samples wider than a byte, such as b.png, are read with 4095 as white"


def test_photos_of_cocos_layout_are_found(tmp_path):
    (tmp_path / "annotations").mkdir()
    file = tmp_path / "annotations" / "image_info_test2017.json"
    file.write_text(json.dumps({"images": [made.image(1, "a.png")]}))
    made.write_photo(tmp_path / "test2017" / "a.png", 20, 10)
    assert list_photos(file).photos[0].path == tmp_path / "test2017" / "a.png"


@pytest.mark.parametrize("other", ["./a.png", "x/../a.png"])
def test_one_photo_under_two_names_is_told(tmp_path, other):
    made.write_photo(tmp_path / "a.png", 20, 10)
    (tmp_path / "x").mkdir()
    images = [made.image(1, "a.png"), made.image(2, other)]
    (tmp_path / "test.json").write_text(json.dumps({"images": images}))
    with pytest.raises(UserError, match=r"a\.png is also image 1"):
        list_photos(tmp_path / "test.json")


def test_an_empty_directory_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no photo"):
        list_photos(tmp_path)


def test_another_size_than_stated_is_a_fault(tmp_path):
    made.write(tmp_path, photos=False, test={"images": [made.image(1, "a.png", 21, 10)]})
    made.write_photo(tmp_path / "a.png", 20, 10)
    with pytest.raises(UserError, match=r"a\.png is 20x10, but test\.json states 21x10"):
        list_photos(tmp_path / "test.json")
