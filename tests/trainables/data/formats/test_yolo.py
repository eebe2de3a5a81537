"""YOLO's labels against pycocotools' and OpenCV's rasterisation of the same points."""

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tests.trainables.data.formats.reading import NOTHING, category_maps, import_from, names, photo
from trainables.data.coco import load_dataset
from trainables.data.formats.imported import ImportOptions
from trainables.data.formats.readers import READERS
from trainables.data.formats.write import write_dataset
from trainables.errors import UserError

WIDTH, HEIGHT = 40, 20


def data(root, labels, yaml="names: [Paper, Glass]\ntrain: images/train\nval: images/val\n"):
    """A photo for each "split/name", with its label text, or no label file where that is None."""
    root.mkdir()
    (root / "data.yaml").write_text(yaml)
    (root / "images/val").mkdir(parents=True)
    for place, text in labels.items():
        photo(root / f"images/{place}.jpg", WIDTH, HEIGHT)
        if text is not None:
            file = root / f"labels/{place}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    return root


TRIANGLE = "1 0.1 0.1 0.8 0.2 0.35 0.9\n"


def test_polygons_are_shares_of_width_and_height(tmp_path):
    _, dataset = import_from("yolo", data(tmp_path / "src", {"train/a": TRIANGLE}))
    points = [0.1 * WIDTH, 0.1 * HEIGHT, 0.8 * WIDTH, 0.2 * HEIGHT, 0.35 * WIDTH, 0.9 * HEIGHT]
    expected = coco_mask.decode(coco_mask.frPyObjects([points], HEIGHT, WIDTH))[..., 0]
    ids = category_maps(dataset)["a.jpg"]
    assert (ids == np.where(expected, 1, NOTHING)).all()
    assert names(dataset) == {0: "Paper", 1: "Glass"}
    drawn = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.round(points).astype(int).reshape(-1, 2)], 1)
    inside = cv2.erode(drawn, np.ones((3, 3), np.uint8))
    assert (ids[inside == 1] == 1).all()
    assert (ids[cv2.dilate(drawn, np.ones((3, 3), np.uint8)) == 0] == NOTHING).all()


def test_photos_without_labels_have_no_object_and_boxes_are_skipped(tmp_path):
    labels = {"train/a": TRIANGLE + "0 0.5 0.5 0.2 0.2\n\n", "train/b": None, "train/c": ""}
    report, dataset = import_from("yolo", data(tmp_path / "src", labels))
    assert [len(image.annotations) for image in dataset.images] == [1, 0, 0]
    assert [(p.file, p.id) for p in report.problems] == [("labels/train/a.txt", "line 2")]
    assert "a box alone is no mask" in report.problems[0].what


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("5 0.1 0.1 0.5 0.1 0.5 0.5", r"labels/train/a.txt, line 2: class 5 is not among the names"),
        ("Glass 0.1 0.1", r"labels/train/a.txt, line 2: is no class number and coordinates: 'Glass 0.1 0.1'"),
    ],
)
def test_unknown_classes_and_words_are_errors(tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        import_from("yolo", data(tmp_path / "src", {"train/a": TRIANGLE + line}))


@pytest.mark.parametrize("number", ["1.5", "nan", "inf", "-1"])
def test_a_class_that_is_no_whole_number_is_not_rounded(tmp_path, number):
    labels = {"train/a": TRIANGLE + f"{number} 0.1 0.1 0.5 0.1 0.5 0.5"}
    with pytest.raises(UserError, match=f"line 2: class {number} is not among the names"):
        import_from("yolo", data(tmp_path / "src", labels))


def test_labels_of_another_encoding_are_named(tmp_path):
    source = data(tmp_path / "src", {"train/a": TRIANGLE})
    (source / "labels/train/a.txt").write_bytes(b"0 0.1\xa00.1")
    with pytest.raises(UserError, match=r"labels/train/a.txt: is no text in UTF-8 \(byte 5\)"):
        import_from("yolo", source)


def test_a_zero_byte_is_told_with_its_line(tmp_path):
    source = data(tmp_path / "src", {"train/a": TRIANGLE}, "names: [Paper, Glass]\ntrain: list.txt\n")
    (source / "list.txt").write_bytes(b"images/train/a.jpg\nimages/train/a\0.jpg\n")
    with pytest.raises(UserError, match=r"list\.txt, line 2: holds a zero byte"):
        import_from("yolo", source)


def test_names_that_yaml_takes_for_other_things(tmp_path):
    yaml = "names: {'0': no, '1': 2026-01-01}\ntrain: images/train\nval: null\ntest:\npath: ~\n"
    _, dataset = import_from("yolo", data(tmp_path / "src", {"train/a": TRIANGLE}, yaml))
    assert names(dataset) == {0: "no", 1: "2026-01-01"}


@pytest.mark.parametrize(
    "yaml",
    [
        "names: {0: Paper, 1: Glass}\npath: .\ntrain: images/train\n",
        "names: [Paper, Glass]\ntrain: ../images/train\nvalid: ../images/val\n",
        "names: [Paper, Glass]\ntrain: train.txt\n",
        "names: [Paper, Glass]\ntrain: [images/train]\n",
    ],
)
def test_parts_are_directories_or_lists_of_photos(tmp_path, yaml):
    source = data(tmp_path / "src", {"train/a": TRIANGLE}, yaml)
    (source / "train.txt").write_text("images/train/a.jpg\n")
    _, dataset = import_from("yolo", source)
    assert [image.file_name for image in dataset.images] == ["images/train/train/a.jpg"]
    assert len(dataset.images[0].annotations) == 1


def test_a_test_that_is_not_there_is_left_out_and_told(tmp_path):
    yaml = "names: [Paper, Glass]\ntrain: images/train\nval: images/val\ntest: ../test/images\n"
    report, _ = import_from("yolo", data(tmp_path / "src", {"train/a": TRIANGLE}, yaml))
    assert "test is ../test/images, which is not there" in report.notes[0]


def test_photos_may_be_larger_than_a_search_takes_without_a_flag(tmp_path):
    source = data(tmp_path / "src", {"train/a": TRIANGLE})
    Image.new("1", (14000, 13000)).save(source / "images/train/a.png")
    (source / "images/train/a.jpg").unlink()
    imported = READERS["yolo"](source, ImportOptions())
    assert write_dataset(tmp_path / "out", imported).dataset.images[0].width == 14000
    with pytest.raises(UserError, match="--max-megapixels 183"):
        load_dataset(tmp_path / "out")


def test_labels_of_poses_are_no_masks(tmp_path):
    yaml = "names: [Paper]\ntrain: images/train\nkpt_shape: [5, 2]\n"
    with pytest.raises(UserError, match=r"data\.yaml: has kpt_shape, so its labels are boxes with points"):
        import_from("yolo", data(tmp_path / "src", {"train/a": TRIANGLE}, yaml))


def test_a_part_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UserError, match="train is elsewhere, which is not there"):
        import_from("yolo", data(tmp_path / "src", {}, "names: [Paper]\ntrain: elsewhere\n"))
    with pytest.raises(UserError, match=r"train is x+, which is not there"):
        import_from("yolo", data(tmp_path / "other", {}, f"names: [Paper]\npath: {300 * 'x'}\ntrain: {300 * 'x'}\n"))


@pytest.mark.parametrize("name", [300 * "x", 200 * "\u00e9"])
def test_a_listed_photo_that_cannot_be_there_is_an_error(tmp_path, name):
    (tmp_path / "data.yaml").write_text("names: [Paper]\ntrain: list.txt\n")
    (tmp_path / "list.txt").write_text(f"{name}.jpg\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"jpg cannot be read .*; restore it, or take it out of the train part"):
        import_from("yolo", tmp_path)


def test_photos_without_a_label_file_are_told(tmp_path):
    labels = {"train/a": TRIANGLE, "train/b": None, "train/c": "", "train/d": None}
    report, _ = import_from("yolo", data(tmp_path / "src", labels))
    (note,) = report.notes
    assert note.startswith("2 of 4 photos have no label file, such as labels/train/b.txt, labels/train/d.txt, and are")
    with pytest.raises(UserError, match=r"no annotation at all(.|\n)*note: 1 of 1 photos have no label file"):
        import_from("yolo", data(tmp_path / "other", {"train/a": None}))


def test_label_files_may_lie_beside_the_photos(tmp_path):
    source = data(tmp_path / "src", {"train/a": TRIANGLE, "train/b": TRIANGLE})
    (source / "labels/train/a.txt").rename(source / "images/train/a.txt")
    report, dataset = import_from("yolo", source)
    assert [len(one.annotations) for one in dataset.images] == [1, 1]
    assert report.notes == ()


def test_paths_of_windows_are_read(tmp_path):
    yaml = "names: [Paper, Glass]\ntrain: images\\train\nval: list.txt\n"
    source = data(tmp_path / "src", {"train/a": TRIANGLE, "val/b": TRIANGLE}, yaml)
    (source / "list.txt").write_text("images\\val\\b.jpg\n")
    report, _ = import_from("yolo", source)
    assert dict(report.photos) == {"train": 1, "val": 1}
