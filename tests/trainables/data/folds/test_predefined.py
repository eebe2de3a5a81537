"""Folds that a file says."""

import json

import pytest

from tests.trainables.data.made import annotation, coco, image, write
from trainables.data.coco import load_annotations
from trainables.data.folds.splits import make_splits
from trainables.errors import UserError

FOLDS = {"1.png": 1, "sub/2.png": 2, "3": 1, "4.png": 2, "5.png": 2}


@pytest.fixture
def dataset(tmp_path):
    images = [image(one, f"{'sub/' if one == 2 else ''}{one}.png") for one in range(1, 6)]
    images[3]["group"] = images[4]["group"] = "pair"
    train = coco(images, [annotation(one, one, 1 + one % 2) for one in range(1, 6)])
    val = coco([image(1, "v.png")], [annotation(1, 1, 1)])
    return load_annotations(write(tmp_path / "data", photos=False, train=train, val=val))


def split(dataset, file, folds=2):
    return make_splits(dataset, folds=folds, folds_by="predefined", folds_file=file).folds


def save(tmp_path, content, name="folds.json"):
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return tmp_path / name


def test_json_and_csv_say_the_same(dataset, tmp_path):
    text = "image,fold\n" + "".join(f"{name},{fold}\n" for name, fold in FOLDS.items())
    assert split(dataset, save(tmp_path, FOLDS)) == ((0, 2), (1, 3, 4))
    assert split(dataset, save(tmp_path, text, "folds.csv")) == ((0, 2), (1, 3, 4))


def test_a_csv_may_have_no_head_and_empty_lines(dataset, tmp_path):
    text = "\n".join(f"{name},{fold}\n" for name, fold in FOLDS.items()) + ",\n\n"
    assert split(dataset, save(tmp_path, text, "folds.csv")) == ((0, 2), (1, 3, 4))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "folds.csv",
            "image,fold\n1.png,1\n2,2\n3,1\n4.png,2\n5,2\n1.png,2\n",
            "1.png is in the folds 1 and 2: list it",
        ),
        ("folds.csv", "image,fold\n1.png,1\n2,2\n3,1\n4.png,2\n5,2\n1,2\n", "csv: 1 is in the folds 1 and 2: list it"),
        ("folds.json", '{"1": 1, "2": 2, "3": 1, "4": 2, "5": 2, "3": 2}', "3 is in the folds 1 and 2: list it once"),
        ("folds.csv", "image;fold\n1.png;1\n", "folds.csv, line 1: has 1 columns; write an image and its fold"),
        ("folds.csv", "image,fold\n1.png,1\n\n0,2,2\n", "folds.csv, line 4: has 3 columns"),
    ],
)
def test_an_image_in_two_folds_and_a_broken_line_are_named(dataset, tmp_path, name, text, message):
    with pytest.raises(UserError, match=message):
        split(dataset, save(tmp_path, text, name))


def test_folds_are_in_the_order_of_their_numbers(dataset, tmp_path):
    file = save(tmp_path, {**FOLDS, "4.png": 10, "5.png": 10, "v.png": 77})
    assert split(dataset, file, folds=3) == ((0, 2), (1,), (3, 4))


@pytest.mark.parametrize(
    ("content", "folds", "message"),
    [
        ({**FOLDS, "9.png": 1}, 2, "no image of .* is called 9.png; use file_name or id"),
        ({name: fold for name, fold in FOLDS.items() if name != "3"}, 2, "3.png have no fold"),
        (FOLDS, 5, "the training photos are in 2 folds; give --folds 2"),
        (dict.fromkeys(FOLDS, 1), 2, "all training photos are in the fold 1; put them in two or more"),
        ({**FOLDS, "5.png": 1}, 2, "4.png and 5.png belong together .* folds 2 and 1"),
        ({**FOLDS, "3": None}, 2, "the fold of 3 is no number or name"),
        ("[]", 2, "lists no image"),
        ("nonsense", 2, "neither a JSON object nor a CSV"),
    ],
)
def test_faults_name_the_file_and_the_images(dataset, tmp_path, content, folds, message):
    with pytest.raises(UserError, match=message) as raised:
        split(dataset, save(tmp_path, content), folds)
    assert str(tmp_path / "folds.json") in str(raised.value)


def test_a_file_is_needed(dataset):
    with pytest.raises(UserError, match="give --folds-file FILE"):
        split(dataset, None)
