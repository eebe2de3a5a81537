"""The labels that folds are made even in, on worked examples."""

from collections import Counter

import pytest

from tests.trainables.data.made import annotation, box, coco, image, real, write
from trainables.data.coco import load_annotations
from trainables.data.folds.labels import METHODS, area_bins, class_labels, multilabel_labels, random_labels
from trainables.data.folds.splits import make_splits

TEN = [{"id": 10 * number, "name": f"class {number}"} for number in range(1, 11)]


def data(root, photos, categories=TEN):
    """Photos of 20 x 10 pixels, each a list of (class from 1, width of its box, 10 pixels high, side by side)."""
    shapes, number = [], 0
    for photo, objects in enumerate(photos, start=1):
        left = 0
        for place, width in objects:
            number += 1
            shapes.append(annotation(number, photo, categories[place - 1]["id"], box(left, 0, width, 10)))
            left += width
    content = coco([image(one, f"{one}.png") for one in range(1, len(photos) + 1)], shapes, categories)
    return load_annotations(write(root, photos=False, train=content))


def test_the_formula_for_ten_classes(tmp_path):
    photos = [
        [(1, 1)],  # the smallest area, one class
        [(4, 5)],
        [(10, 20)],  # the largest area
        [(2, 1), (7, 1)],  # two classes
        [(3, 2), (5, 2), (5, 2)],  # two classes, three annotations
        [(1, 6), (2, 6), (9, 6)],  # three classes
    ]
    labels = multilabel_labels(data(tmp_path, photos), range(6))
    assert labels == {
        0: [30 * 0 + 10 * 0 + 1],
        1: [30 * 0 + 10 * 1 + 4],
        2: [30 * 0 + 10 * 2 + 10],
        3: [30 * 1 + 10 * 0 + 2, 30 * 1 + 10 * 0 + 7],
        4: [30 * 1 + 10 * 1 + 3, 30 * 1 + 10 * 1 + 5],
        5: [30 * 2 + 10 * 2 + 1, 30 * 2 + 10 * 2 + 2, 30 * 2 + 10 * 2 + 9],
    }


def test_more_than_eight_classes_count_as_eight(tmp_path):
    everything = [(place, 2) for place in range(1, 11)]
    labels = multilabel_labels(data(tmp_path, [everything, [(1, 1)], [(1, 2)]]), range(3))
    assert labels[0] == [30 * 7 + 10 * 2 + place for place in range(1, 11)]


def test_the_formula_for_three_classes(tmp_path):
    photos = [[(1, 1)], [(2, 5), (3, 5)], [(3, 20)], []]
    labels = multilabel_labels(data(tmp_path, photos, TEN[:3]), range(4))
    assert labels == {0: [1], 1: [9 + 3 + 2, 9 + 3 + 3], 2: [6 + 3], 3: [-1]}


def test_labels_of_different_strata_never_meet(tmp_path):
    photos = [[(place, width) for place in range(1, count + 1)] for count in range(1, 9) for width in (1, 2)]
    dataset = data(tmp_path, photos)
    sizes = area_bins(dataset, range(len(photos)))
    seen = {}
    for row, labels in multilabel_labels(dataset, range(len(photos))).items():
        for place, label in enumerate(labels, start=1):
            assert seen.setdefault(label, (len(labels), sizes[row], place)) == (len(labels), sizes[row], place)


def test_areas_are_in_three_bins_of_as_many_photos(tmp_path):
    bins = area_bins(data(tmp_path, [[(1, width)] for width in range(1, 13)]), range(12))
    assert Counter(bins.values()) == {1: 4, 2: 4, 3: 4}
    assert [bins[row] for row in range(12)] == sorted(bins.values())


def test_overlaps_count_once(tmp_path):
    shapes = [
        annotation(1, 1, 10, box(0, 0, 10, 10)),
        annotation(2, 1, 20, box(0, 0, 9, 10)),
        annotation(3, 2, 10, box(0, 0, 12, 10)),
        annotation(4, 3, 10, box(0, 0, 14, 10)),
    ]
    content = coco([image(one, f"{one}.png") for one in (1, 2, 3)], shapes, TEN)
    dataset = load_annotations(write(tmp_path, photos=False, train=content))
    assert area_bins(dataset, range(3)) == {0: 1, 1: 2, 2: 3}


def test_sgkf_has_a_label_an_annotation_and_random_one_a_photo(tmp_path):
    dataset = data(tmp_path, [[(1, 2), (1, 2), (3, 2)], []])
    assert class_labels(dataset, range(2)) == {0: [1, 1, 3], 1: [-1]}
    assert random_labels(dataset, range(2)) == {0: [0], 1: [0]}


@pytest.mark.parametrize("method", ["sgkf", "multilabel", "random"])
@pytest.mark.parametrize("name", ["recycle60", "taco_annotations/annotations.json"])
def test_no_photo_is_in_two_folds_and_the_holdout_is_the_same(method, name):
    dataset = load_annotations(real(name.partition("/")[0]) / name.partition("/")[2])
    splits = make_splits(dataset, folds_by=method)
    rows = [row for fold in splits.folds for row in fold]
    assert len(rows) == len(set(rows))
    assert not set(rows) & set(splits.holdout)
    assert set(rows) | set(splits.holdout) == set(dataset.rows("train") + dataset.rows("val"))
    assert splits.holdout == make_splits(dataset).holdout
    assert all(splits.folds)


@pytest.mark.parametrize("method", ["sgkf", "multilabel", "random"])
def test_a_group_stays_together(tmp_path, method):
    photos = [[(1 + number % 3, 1 + number % 7)] for number in range(40)]
    content = coco([image(one, f"{one}.png") for one in range(1, 41)], [], TEN)
    for one in content["images"]:
        one["group"] = f"g{one['id'] % 13}"
    shapes = [annotation(n, n, TEN[objects[0][0]]["id"]) for n, objects in enumerate(photos, start=1)]
    dataset = load_annotations(write(tmp_path, photos=False, train={**content, "annotations": shapes}))
    splits = make_splits(dataset, folds=3, folds_by=method)
    fold_of = {row: number for number, rows in enumerate(splits.folds) for row in rows}
    groups = {}
    for row, fold in fold_of.items():
        assert groups.setdefault(dataset.images[row].group, fold) == fold


def test_the_command_line_knows_every_method():
    from search.cli.options import FOLDS

    command = FOLDS[1](lambda: None)
    assert set(command.__click_params__[0].type.choices) == set(METHODS)
