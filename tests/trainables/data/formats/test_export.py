"""What is exported reads back as the same class maps."""

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.formats.reading import import_from
from tests.trainables.data.made import annotation, box, coco, image, real, write
from trainables.data.coco import load_dataset
from trainables.data.formats.export import export_coco, export_masks


def maps(dataset):
    return {image.path.name: dataset.mask(image.row) for image in dataset.images}


def assert_same_maps(one, other):
    first, second = maps(one), maps(other)
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


def made(root):
    over = [annotation(1, 1, 1, box(1, 1, 15, 8)), annotation(2, 1, 2, box(4, 3, 5, 4)), annotation(3, 2, 2)]
    train = coco([image(1, "a.png"), image(2, "images/b.png"), image(3, "c.png")], over)
    val = coco([image(1, "v.png")], [annotation(1, 1, 1)])
    return write(root, train=train, val=val)


@pytest.mark.parametrize("unlabelled", ["background", "ignore"])
def test_masks_read_back(tmp_path, unlabelled):
    dataset = load_dataset(made(tmp_path / "data"), unlabelled=unlabelled)
    export_masks(dataset, tmp_path / "out")
    expected = maps(dataset)
    for one in dataset.images:
        name = one.file_name.removeprefix("images/").replace(".png", "")
        with Image.open(tmp_path / "out" / one.split / "masks" / f"{name}.png") as picture:
            assert picture.mode == "P"
            assert (np.asarray(picture) == expected[one.path.name]).all()
    _, again = import_from("masks", tmp_path / "out", void=unlabelled)
    assert again.class_names == dataset.class_names
    assert_same_maps(again, dataset)


def test_names_that_look_like_numbers_or_comments_read_back(tmp_path):
    categories = [{"id": 1, "name": "3 cans"}, {"id": 2, "name": "#4, old  tin"}]
    train = coco([image(1, "a.png")], [annotation(1, 1, 1), annotation(2, 1, 2, box(10, 2, 3, 3))], categories)
    dataset = load_dataset(write(tmp_path / "data", train=train))
    export_masks(dataset, tmp_path / "out")
    _, again = import_from("masks", tmp_path / "out")
    assert again.class_names == ("Background", "3 cans", "#4, old  tin")
    assert_same_maps(again, dataset)


def test_coco_reads_back(tmp_path):
    dataset = load_dataset(made(tmp_path / "data"))
    export_coco(dataset, tmp_path / "out")
    again = load_dataset(tmp_path / "out")
    assert [one.file_name for one in again.images] == [one.file_name for one in dataset.images]
    assert_same_maps(again, dataset)


@pytest.mark.parametrize("name", ["recycle60", "garbage6"])
def test_real_data_sets_read_back(tmp_path, name):
    dataset = load_dataset(real(name))
    export_masks(dataset, tmp_path / "out")
    _, again = import_from("masks", tmp_path / "out")
    assert_same_maps(again, dataset)
