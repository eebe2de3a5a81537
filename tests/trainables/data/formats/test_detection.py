"""What a directory without train.json looks like, and what a search says of it."""

import pytest

from tests.trainables.data.formats.reading import photo
from trainables.data.coco import load_dataset
from trainables.data.formats.detection import FORMATS, format_of
from trainables.data.formats.readers import READERS
from trainables.errors import UserError

FILES = {
    "roboflow": {"train/_annotations.coco.json": "{}"},
    "yolo": {"data.yaml": "names: []", "images/a.txt": ""},
    "cityscapes": {"leftImg8bit/a.txt": "", "gtFine/a.txt": ""},
    "voc": {"JPEGImages/a.txt": "", "SegmentationClass/a.png": ""},
    "ade20k": {"images/training/a.txt": "", "annotations/training/a.png": ""},
    "coco": {"annotations/instances_train2017.json": "{}"},
    "cvat": {"annotations.xml": "<?xml version='1.0'?>\n<annotations>"},
    "masks": {"images/a.jpg": "", "masks/a.png": ""},
    "labelme": {"a.json": '{"version": "5", "shapes": [], "imagePath": "a.jpg"}'},
    "label-studio": {"project-1.json": ' [{"id": 1}]'},
    None: {"notes.json": "{}", "a.xml": "<other/>"},
}


@pytest.mark.parametrize("name", FILES)
def test_formats_are_told_apart(tmp_path, name):
    for file, text in FILES[name].items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    assert format_of(tmp_path) == name


def test_every_format_that_is_recognised_can_be_read():
    assert set(FORMATS) == set(READERS) == set(FILES) - {None}


def test_a_search_names_the_command_that_imports(tmp_path):
    source = tmp_path / "my photos"
    photo(source / "images/a.jpg")
    photo(source / "masks/a.png")
    with pytest.raises(UserError, match=r"segvote data import masks '.*/my photos' --out 'my photos-imported'"):
        load_dataset(source)
