"""The data set as read: rows, classes, where photos are found, and the fingerprint."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.made import annotation, coco, image, real, small, write, write_photo
from trainables.data import load_dataset, pack
from trainables.data.coco import load_annotations
from trainables.data.photos import photo_files as photos
from trainables.data.photos.photo_files import decode_photo
from trainables.errors import UserError


def test_rows_are_train_then_val_then_test_in_file_order(tmp_path):
    val = coco([image(2, "v.png"), image(1, "w.png")], [annotation(1, 2, 1)])
    test = {"images": [image(1, "t.png")]}
    dataset = load_dataset(write(tmp_path, train=small(), val=val, test=test))
    assert [(one.row, one.split, one.image_id) for one in dataset.images] == [
        (0, "train", 1),
        (1, "train", 2),
        (2, "val", 2),
        (3, "val", 1),
        (4, "test", 1),
    ]
    assert (dataset.rows("train"), dataset.rows("val"), dataset.rows("test")) == ((0, 1), (2, 3), (4,))
    assert [len(one.annotations) for one in dataset.images] == [1, 1, 1, 0, 0]


def test_a_test_file_is_labelled_if_it_has_annotations(tmp_path):
    test = {"images": [image(1, "t.png")]}
    dataset = load_dataset(write(tmp_path / "without", train=small(), test=test))
    assert (dataset.images[2].labelled, dataset.fill(2), dataset.fill(0)) == (False, 255, 0)
    test["annotations"] = [annotation(1, 1, 2)]
    dataset = load_dataset(write(tmp_path / "with", train=small(), test=test))
    assert (dataset.images[2].labelled, dataset.fill(2)) == (True, 0)
    assert dataset.images[2].annotations[0].category_id == 2


@pytest.mark.parametrize(
    ("unlabelled", "names", "classes", "fill"),
    [
        ("background", ("Background", "Foil", "Glass", "Paper"), {0: 1, 7: 2, 90: 3}, 0),
        ("ignore", ("Foil", "Glass", "Paper"), {0: 0, 7: 1, 90: 2}, 255),
    ],
)
def test_category_ids_become_classes_in_id_order(tmp_path, unlabelled, names, classes, fill):
    categories = [{"id": 90, "name": "Paper"}, {"id": 0, "name": "Foil"}, {"id": 7, "name": "Glass"}]
    train = coco([image(1, "a.png")], [annotation(1, 1, 0)], categories)
    dataset = load_dataset(write(tmp_path, train=train), unlabelled=unlabelled)
    assert (dataset.class_names, dataset.num_classes, dataset.class_id_of) == (names, len(names), classes)
    painted = dataset.mask(0)
    assert painted[3, 3] == classes[0]
    assert painted[0, 0] == fill


@pytest.mark.parametrize(("unlabelled", "most"), [("background", 254), ("ignore", 255)])
def test_more_classes_than_a_class_map_holds_are_refused(tmp_path, unlabelled, most):
    categories = [{"id": number, "name": f"c{number}"} for number in range(most + 1)]
    write(tmp_path, train=coco([image(1, "a.png")], [annotation(1, 1, 0)], categories[:-1]))
    assert load_dataset(tmp_path, unlabelled=unlabelled).num_classes == 255
    write(tmp_path, train=coco([image(1, "a.png")], [annotation(1, 1, 0)], categories))
    with pytest.raises(UserError, match=f"{most + 1} categories, more than the {most}"):
        load_dataset(tmp_path, unlabelled=unlabelled)


@pytest.mark.parametrize("place", ["deep/down/a.png", "images/deep/down/a.png"])
def test_photos_are_found_below_the_directory_or_its_images(tmp_path, place):
    write(tmp_path, photos=False, train=coco([image(1, "deep/./down/a.png")], [annotation(1, 1, 1)]))
    write_photo(tmp_path / place, 20, 10)
    assert load_dataset(tmp_path).images[0].path == tmp_path / place


def test_area_is_counted_in_pixels(tmp_path):
    write(tmp_path, train=coco([image(1, "a.png")], [annotation(1, 1, 1, area=5000.0)]))
    assert load_dataset(tmp_path).images[0].annotations[0].area == 24


def save_turned(path, width, height, orientation):
    """A photo whose stored upper half is white, with an EXIF orientation."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif, quality=100, subsampling=0)


@pytest.mark.parametrize(
    ("orientation", "stated", "bright"),
    [
        (6, (16, 32), (slice(None), slice(8, None))),  # shown turned by 90 degrees clockwise: the upper half is right
        (8, (16, 32), (slice(None), slice(None, 8))),
        (6, (32, 16), (slice(None, 8), slice(None))),  # annotated as stored
        (3, (32, 16), (slice(8, None), slice(None))),  # both fit: the orientation is followed
    ],
)
def test_photos_are_turned_where_the_stated_size_asks_for_it(tmp_path, orientation, stated, bright):
    width, height = stated
    write(tmp_path, photos=False, train=coco([image(5, "a.jpg", width, height)], [annotation(1, 5, 1)]))
    save_turned(tmp_path / "a.jpg", 32, 16, orientation)
    dataset = load_dataset(tmp_path)
    pixels = decode_photo((tmp_path / "a.jpg").read_bytes(), (height, width), (height, width))
    white = np.zeros((height, width), bool)
    white[bright] = True
    assert pixels[white].min() > 200
    assert pixels[~white].max() < 50
    assert [problem.id for problem in dataset.problems] == ([5] if orientation == 3 else [])


@pytest.mark.parametrize(("orientation", "size"), [(1, (16, 32)), (6, (32, 16)), (3, (16, 32))])
def test_images_without_width_and_height_have_the_size_of_their_photos_as_shown(tmp_path, orientation, size):
    images = [{"id": 5, "file_name": "a.jpg"}, {"id": 6, "file_name": "b.jpg", "width": None, "height": None}]
    write(tmp_path, photos=False, train=coco(images, [annotation(1, 5, 1)]))
    save_turned(tmp_path / "a.jpg", 32, 16, orientation)
    save_turned(tmp_path / "b.jpg", 8, 12, 1)
    dataset = load_dataset(tmp_path)
    assert [(one.height, one.width) for one in dataset.images] == [size, (12, 8)]
    assert [problem.id for problem in dataset.problems] == ([] if orientation == 1 else [5])
    assert load_annotations(tmp_path / "train.json").images[0].height == size[0]


def test_a_file_alone_in_the_folder_annotations_has_its_photos_beside_that_folder(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 12)).save(tmp_path / "images/a.png")
    content = coco([{"id": 5, "file_name": "a.png"}], [annotation(1, 5, 1)])
    (tmp_path / "annotations/any.json").write_text(json.dumps(content))
    assert load_annotations(tmp_path / "annotations/any.json").images[0].height == 12


def test_a_size_that_no_photo_tells_is_missed(tmp_path):
    write(tmp_path, photos=False, train=coco([{"id": 5, "file_name": "a.jpg"}], [annotation(1, 5, 1)]))
    with pytest.raises(UserError, match=r"id 5: width and height are missing, and a.jpg cannot be read .*; state them"):
        load_dataset(tmp_path)


def test_sixteen_bit_photos_keep_their_tones(tmp_path):
    Image.fromarray(np.linspace(0, 65535, 200).astype(np.uint16).reshape(10, 20)).save(tmp_path / "a.png")
    pixels = decode_photo((tmp_path / "a.png").read_bytes(), (10, 20), (10, 20))
    np.testing.assert_array_equal(pixels[..., 0].ravel(), np.linspace(0, 65535, 200).astype(np.uint16) >> 8)


def fingerprint_of(root, **options):
    return load_dataset(root, **options).fingerprint


def test_the_fingerprint_depends_on_content_alone(tmp_path):
    first = write(tmp_path / "a", train=small())
    second = write(tmp_path / "b", train=small())
    (second / "train.json").write_text(json.dumps(small(), indent=3))
    assert fingerprint_of(first) == fingerprint_of(second) == fingerprint_of(first, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("change", ["photo", "segmentation", "name", "unlabelled", "file_name"])
def test_the_fingerprint_follows_every_change(tmp_path, change):
    root = write(tmp_path, train=small())
    before = fingerprint_of(root)
    train, options = small(), {}
    if change == "photo":
        write_photo(root / "b.png", 20, 10, seed=99)
    elif change == "segmentation":
        train["annotations"][0]["segmentation"][0][0] += 1
    elif change == "name":
        train["categories"] = [{"id": 1, "name": "Card"}, {"id": 2, "name": "Glass"}]
    elif change == "file_name":
        (root / "b.png").rename(root / "c.png")
        train["images"][1]["file_name"] = "c.png"
    else:
        options["unlabelled"] = "ignore"
    (root / "train.json").write_text(json.dumps(train))
    assert fingerprint_of(root, **options) != before


@pytest.mark.parametrize("change", ["photo", "segmentation", "group"])
def test_an_images_fingerprint_is_its_own_alone(tmp_path, change):
    root = write(tmp_path, train=small())
    before = load_dataset(root)
    train = small()
    of_b = next(entry for entry in train["annotations"] if entry["image_id"] == train["images"][1]["id"])
    if change == "photo":
        write_photo(root / "b.png", 20, 10, seed=99)
    elif change == "segmentation":
        of_b["segmentation"][0][0] += 1
    else:
        train["images"][1]["group"] = "scene"
    (root / "train.json").write_text(json.dumps(train))
    after = load_dataset(root)
    assert after.fingerprint_of([0]) == before.fingerprint_of([0])
    assert after.fingerprint_of([0, 1]) != before.fingerprint_of([0, 1]) != before.fingerprint_of([1, 0])


def test_photos_and_annotations_that_come_before_leave_fingerprints_as_they_are(tmp_path):
    before = load_dataset(write(tmp_path / "a", train=small()))
    train = small()
    train["images"].insert(0, {"id": 99, "file_name": "new.png", "width": 20, "height": 10})
    train["annotations"].insert(0, {**train["annotations"][0], "id": 99, "image_id": 99})
    root = write(tmp_path / "b", train=train)
    for name in ("a.png", "b.png"):
        shutil.copy(tmp_path / "a" / name, root / name)
    after = load_dataset(root)
    assert after.fingerprint != before.fingerprint
    assert after.fingerprint_of([1, 2]) == before.fingerprint_of([0, 1])


def test_unchanged_photos_are_not_read_a_second_time(tmp_path, monkeypatch):
    root, cache = write(tmp_path / "data", train=small()), tmp_path / "cache"
    before = fingerprint_of(root, cache_dir=cache)
    read = []
    monkeypatch.setattr(photos, "_inspect", lambda path: read.append(path))
    assert fingerprint_of(root, cache_dir=cache) == before
    assert not read


def test_a_photo_replaced_by_one_of_the_same_size_and_time_is_noticed(tmp_path):
    root, cache = write(tmp_path / "data", train=small()), tmp_path / "cache"
    photo = root / "a.bmp"
    train = small()
    train["images"][0]["file_name"] = "a.bmp"
    (root / "train.json").write_text(json.dumps(train))
    write_photo(photo, 20, 10, seed=1)
    before, stat = load_dataset(root, cache_dir=cache), photo.stat()
    old = pack(before, (10, 20), cache).images[0].copy()
    write_photo(photo, 20, 10, seed=2)
    os.utime(photo, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert photo.stat().st_size == stat.st_size
    after = load_dataset(root, cache_dir=cache)
    assert after.fingerprint != before.fingerprint
    new = pack(after, (10, 20), cache).images[0]
    assert not (new == old).all()
    np.testing.assert_array_equal(new, np.asarray(Image.open(photo)))


def test_a_damaged_memory_of_photos_is_written_anew(tmp_path):
    root, cache = write(tmp_path / "data", train=small()), tmp_path / "cache"
    before = fingerprint_of(root, cache_dir=cache)
    (memo,) = cache.glob("photos-*.json")
    memo.write_text('{"half')
    assert fingerprint_of(root, cache_dir=cache) == before
    assert len(json.loads(memo.read_text())) == 2


def test_summary_counts_objects_and_photos(tmp_path):
    summary = load_dataset(write(tmp_path, train=small())).summary
    assert "2 train images, 2 annotations, 3 classes" in summary
    assert "  1 Paper       1 annotation in 1 image" in summary


def test_real_data_sets_are_read_whole():
    dataset = load_dataset(real("recycle60"))
    assert (len(dataset.rows("train")), len(dataset.rows("val")), dataset.num_classes) == (38, 10, 11)
    assert sum(len(one.annotations) for one in dataset.images) == 312 + 103
    assert dataset.class_names[9] == "Battery"
    assert dataset.problems == ()
    dataset = load_dataset(real("camvid"), unlabelled="ignore")
    assert (len(dataset.images), dataset.num_classes, dataset.class_names[0]) == (468, 11, "Sky")
