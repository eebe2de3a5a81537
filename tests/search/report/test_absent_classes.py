"""What is said of classes that training or the holdout lacks."""

import pytest

from search.report.absent_classes import absent_classes
from tests.trainables.data.made import annotation, coco, image, write
from trainables.data import Splits
from trainables.data.coco import load_annotations

CATEGORIES = [{"id": number, "name": name} for number, name in enumerate(("Paper", "Glass", "Can", "Never"), start=1)]


def words(tmp_path, *, training, holdout):
    """What is said where photos 1 and 2 are for training and 3 is held out, with these classes."""
    shapes = [annotation(10 + one, 1 + one % 2, one) for one in training]
    shapes += [annotation(20 + one, 3, one) for one in holdout]
    train = coco([image(number, f"{number}.png") for number in (1, 2, 3)], shapes, CATEGORIES)
    dataset = load_annotations(write(tmp_path, photos=False, train=train))
    return absent_classes(dataset, Splits(holdout=(2,), folds=((0,), (1,)), test=(), seed=0))


def test_nothing_is_said_of_classes_that_both_have_or_none(tmp_path):
    assert words(tmp_path, training=(1, 2), holdout=(1, 2)) == []


@pytest.mark.parametrize(
    ("training", "holdout", "said"),
    [
        ((1,), (1, 2, 3), "No training photo has Glass or Can, but the holdout does: a class that no trial can learn"),
        ((1, 2, 3), (2,), "No holdout photo has Paper or Can: no score says how well such a class is recognised"),
    ],
)
def test_a_class_that_only_one_of_them_has_is_named(tmp_path, training, holdout, said):
    (one,) = words(tmp_path, training=training, holdout=holdout)
    assert one.startswith(said)


def test_a_holdout_of_its_own_file_is_not_said_to_depend_on_flags(tmp_path):
    shapes = [annotation(1, 1, 1), annotation(2, 1, 2)]
    contents = {"train": coco([image(1, "1.png")], shapes, CATEGORIES)}
    contents["val"] = coco([image(2, "2.png")], [annotation(1, 2, 1)], CATEGORIES)
    dataset = load_annotations(write(tmp_path, photos=False, **contents))
    (one,) = absent_classes(dataset, Splits(holdout=(1,), folds=((0,),), test=(), seed=0))
    assert one.endswith("is recognised. Move such photos into val.json.")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "c1"),
        (5, "c1, c2, c3, c4 or c5"),
        (6, "c1, c2, c3, c4, c5 or 1 further class"),
        (9, "c5 or 4 further classes"),
    ],
)
def test_few_of_many_classes_are_named(tmp_path, number, said):
    categories = [{"id": one, "name": f"c{one}"} for one in range(1, number + 1)]
    shapes = [annotation(one, 2, one) for one in range(1, number + 1)]
    train = coco([image(1, "1.png"), image(2, "2.png")], shapes, categories)
    dataset = load_annotations(write(tmp_path, photos=False, train=train))
    (one,) = absent_classes(dataset, Splits(holdout=(0,), folds=((1,),), test=(), seed=0))
    assert f"{said}: no score says" in one
