"""Holdout and folds: disjoint, complete, stratified, stable."""

import json
import re
import warnings
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainables.data.made import box, real, record
from trainables.data import Dataset, Splits, load_dataset, make_splits
from trainables.data.annotations.annotation import Annotation
from trainables.data.dataset import Category, ImageRecord
from trainables.data.scenes import Scenes, declared_scenes
from trainables.errors import UserError


def dataset_of(classes: list[tuple[int, ...]], *, val: int = 0, **more: list[str]) -> Dataset:
    """A data set without files, whose image i has one annotation of each class in classes[i]; the last are val.

    `more` are other fields of its records, each a list of their values.
    """
    images = []
    for row, its in enumerate(classes):
        annotations = [Annotation(number, class_id, box(0, 0, 2, 2), 4.0) for number, class_id in enumerate(its)]
        one = record(*annotations, row=row, **{key: values[row] for key, values in more.items()})
        split = "val" if row >= len(classes) - val else "train"
        images.append(ImageRecord(**{**vars(one), "split": split}))
    ids = sorted({class_id for its in classes for class_id in its})
    categories = tuple(Category(identifier, f"c{identifier}", place + 1) for place, identifier in enumerate(ids))
    return Dataset(Path("none"), tuple(images), categories, "background", (), "fingerprint")


def taco() -> Dataset:
    """TACO, whose photos are not there: 1500 images, 60 classes of 0 to 667 annotations, ids from 0."""
    content = json.loads((real("taco_annotations") / "annotations.json").read_text())
    classes = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        classes[annotation["image_id"]].append(annotation["category_id"])
    return dataset_of([tuple(its) for its in classes.values()])


def check(dataset: Dataset, splits: Splits, folds: int) -> None:
    """Every labelled row is in the holdout or in exactly one fold, none of them empty."""
    rows = [row for part in (splits.holdout, *splits.folds) for row in part]
    assert sorted(rows) == sorted(dataset.rows("train") + dataset.rows("val"))
    assert len(splits.folds) == folds
    assert all(part and list(part) == sorted(part) for part in splits.folds)


def test_a_val_file_is_the_holdout():
    dataset = dataset_of([(1,), (2,)] * 10, val=4)
    splits = make_splits(dataset, folds=4)
    assert splits.holdout == (16, 17, 18, 19)
    check(dataset, splits, 4)


@pytest.mark.parametrize(("fraction", "expected"), [(0.2, 40), (0.25, 50), (0.3, 60), (0.05, 10)])
def test_without_a_val_file_the_holdout_is_that_fraction(fraction, expected):
    dataset = dataset_of([(1,), (2,), (1, 2), (3,)] * 50)
    splits = make_splits(dataset, holdout_fraction=fraction)
    check(dataset, splits, 5)
    assert len(splits.holdout) == pytest.approx(expected, abs=2)


def test_each_fold_has_its_share_of_each_class():
    dataset = dataset_of([(1,)] * 60 + [(2,)] * 30 + [(3,)] * 10, val=0)
    splits = make_splits(dataset, holdout_fraction=0.2, seed=3)
    for rows, share in [(splits.holdout, 0.2), *((fold, 0.16) for fold in splits.folds)]:
        counts = Counter(one.category_id for row in rows for one in dataset.images[row].annotations)
        for class_id, total in ((1, 60), (2, 30), (3, 10)):
            assert counts[class_id] == pytest.approx(total * share, abs=1.01)


def test_images_without_annotation_are_spread_like_a_class():
    dataset = dataset_of([(1,)] * 40 + [()] * 20)
    splits = make_splits(dataset, folds=4)
    assert sorted(sum(not dataset.images[row].annotations for row in fold) for fold in splits.folds) == [4, 4, 4, 4]


@pytest.mark.parametrize("key", ["sha256", "group"])
def test_photos_of_the_same_bytes_or_group_stay_together(key):
    dataset = dataset_of([(1,), (2,)] * 20, **{key: [f"{row // 4}" for row in range(40)]})
    splits = make_splits(dataset, folds=3)
    check(dataset, splits, 3)
    for part in (splits.holdout, *splits.folds):
        assert all(row // 4 * 4 + offset in part for row in part for offset in range(4))
    assert splits.holdout_groups == tuple(place // 4 for place in range(len(splits.holdout)))


def test_groups_and_bytes_hold_together_what_either_joins():
    photos = [("g", "a"), ("", "a"), ("h", "b"), ("g", "c"), ("h", "d"), ("", "d"), ("", ""), ("", "")]
    dataset = dataset_of(
        [(1,)] * 24, val=8, group=[""] * 16 + [g for g, _ in photos], sha256=[""] * 16 + [s for _, s in photos]
    )
    assert make_splits(dataset, folds=2).holdout_groups == (0, 0, 1, 0, 1, 1, 2, 3)


def test_groups_of_the_holdout_are_numbered():
    dataset = dataset_of([(1,)] * 14, val=4, sha256=list("abcdefghijklmn"), group=[""] * 10 + ["x", "", "x", ""])
    splits = make_splits(dataset, folds=2)
    assert splits.holdout == (10, 11, 12, 13)
    assert splits.holdout_groups == (0, 1, 0, 2)


def test_classes_rarer_than_the_folds_are_fine_and_silent():
    dataset = dataset_of([(1,)] * 20 + [(2,), (3, 3)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(dataset, make_splits(dataset), 5)
        check(dataset, make_splits(dataset_of([(number,) for number in range(22)])), 5)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 4), max_size=4).map(tuple), min_size=10, max_size=18),
    st.integers(2, 3),
    st.integers(0, 9),
)
def test_any_small_data_set_is_split_whole(classes, folds, seed):
    dataset = dataset_of(classes)
    check(dataset, make_splits(dataset, folds=folds, holdout_fraction=0.25, seed=seed), folds)


def test_no_fold_is_empty_where_scikit_learn_leaves_one_so():
    dataset = dataset_of([(2, 1, 2, 0), (1,), (2, 1, 2, 2, 2), (0, 0), (1,)], val=1)
    check(dataset, make_splits(dataset, folds=4), 4)


def test_the_seed_decides_and_nothing_else():
    dataset = dataset_of([(number % 4,) for number in range(60)])
    assert make_splits(dataset, seed=1) == make_splits(dataset, seed=1)
    assert make_splits(dataset, seed=1).folds != make_splits(dataset, seed=2).folds
    assert make_splits(dataset, seed=1).holdout != make_splits(dataset, seed=2).holdout


def test_splits_do_not_change_from_one_version_to_the_next():
    splits = make_splits(dataset_of([(1,), (2,), (1, 2), ()] * 5), folds=2, holdout_fraction=0.25)
    assert splits.holdout == (3, 12, 13, 14, 18)


@pytest.mark.parametrize(
    ("images", "val", "arguments", "message"),
    [
        (5, 1, {}, "leaves 4 different photos to split, and this takes at least 5: use fewer folds"),
        (4, 0, {}, "leaves 4 different photos to split, and this takes at least 6: use fewer folds"),
        (9, 0, {"folds": 1}, "folds is 1: use at least 2"),
        (9, 0, {"holdout_fraction": 1.0}, "holdout_fraction is 1.0: use a fraction between 0 and 1"),
        (9, 0, {"holdout_fraction": 0}, "holdout_fraction is 0: use"),
    ],
)
def test_what_cannot_be_split_is_told(images, val, arguments, message):
    with pytest.raises(UserError, match=message):
        make_splits(dataset_of([(1,)] * images, val=val), **arguments)


@pytest.mark.parametrize("folds", [2, 3, 5, 8])
@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("val", [0, 1])
def test_as_many_photos_as_a_refusal_asks_for_are_enough(folds, fraction, val):
    with pytest.raises(UserError, match=r"takes at least \d+: use fewer") as caught:
        make_splits(dataset_of([(1,)] * (1 + val), val=val), folds=folds, holdout_fraction=fraction)
    enough = int(re.search(r"takes at least (\d+):", str(caught.value))[1]) + val
    for classes in ([(1,)] * enough, [(1,), (2,)] * enough, [()] * enough):
        for seed in range(5):
            dataset = dataset_of([(1,), *classes][:enough], val=val)
            check(dataset, make_splits(dataset, folds=folds, holdout_fraction=fraction, seed=seed), folds)


SPLITS = Splits(holdout=(0,), folds=((1, 4), (2,), (3, 5)), test=(6,), seed=7)


def test_a_fold_is_left_out_of_its_training_rows():
    assert SPLITS.training_rows(0) == (2, 3, 5)
    assert SPLITS.fold_rows(0) == (1, 4)
    assert SPLITS.training_rows("all") == (1, 2, 3, 4, 5)
    assert SPLITS.fold_rows("all") == ()


@pytest.mark.parametrize("fold", [3, -1, "0", True, None])
def test_an_unknown_fold_is_refused(fold):
    with pytest.raises(UserError, match=r"fold is .*, but there are 3: use 0 to 2, or"):
        SPLITS.training_rows(fold)


def test_splits_survive_json():
    assert Splits.from_dict(json.loads(json.dumps(SPLITS.to_dict()))) == SPLITS


def test_sixty_real_classes_are_split_evenly():
    dataset = taco()
    splits = make_splits(dataset)
    check(dataset, splits, 5)
    parts = (splits.holdout, *splits.folds)
    counts = [Counter(one.category_id for row in part for one in dataset.images[row].annotations) for part in parts]
    total = sum(counts, Counter())
    photos = Counter(class_id for one in dataset.images for class_id in {a.category_id for a in one.annotations})
    # A class of many objects on few photos (Broken glass: 138 on 15) cannot be spread evenly.
    frequent = [class_id for class_id, count in photos.items() if count > 50]
    assert len(frequent) == 18
    for count, share in zip(counts, (0.2, *[0.16] * 5)):
        assert [count[class_id] / total[class_id] for class_id in frequent] == pytest.approx([share] * 18, abs=0.04)


def test_real_data_with_absent_classes_is_split():
    dataset = load_dataset(real("recycle60"))
    splits = make_splits(dataset, folds=5)
    check(dataset, splits, 5)
    assert splits.holdout == dataset.rows("val")


def test_whole_scenes_are_the_holdout_and_the_few_others_are_cut_into_stretches():
    dataset = dataset_of([(1,), (2,)] * 30, val=12)
    scenes = Scenes((0,) * 30 + (1,) * 14 + (2,) * 16, tuple(range(60)))
    splits = make_splits(dataset, folds=4, scenes=scenes, whole_scenes=True)
    check(dataset, splits, 4)
    assert splits.holdout == tuple(range(30, 44))
    assert splits.holdout_groups == (0,) * 14
    asis = make_splits(dataset, folds=4, scenes=scenes)
    assert asis.holdout == tuple(range(48, 60))
    assert asis.holdout_groups == (0,) * 12


def test_many_scenes_stay_whole_in_holdout_and_folds():
    dataset = dataset_of([(1,), (2,)] * 60)
    scenes = Scenes(tuple(row // 4 for row in range(120)), tuple(range(120)))
    splits = make_splits(dataset, folds=3, scenes=scenes)
    check(dataset, splits, 3)
    for part in (splits.holdout, *splits.folds):
        assert all(row // 4 * 4 + offset in part for row in part for offset in range(4))


def test_a_single_scene_gives_a_stretch_of_about_the_asked_size():
    dataset = dataset_of([(1,), (2,)] * 40, val=0)
    splits = make_splits(dataset, folds=3, scenes=Scenes((0,) * 80, tuple(range(80))))
    check(dataset, splits, 3)
    assert 8 <= len(splits.holdout) <= 24


def test_the_holdout_of_few_scenes_leaves_every_class_to_training():
    dataset = dataset_of([(1,)] * 20 + [(2,)] * 21 + [(1, 2)] * 30)
    scenes = Scenes((0,) * 20 + (1,) * 21 + (2,) * 30, tuple(range(71)))
    assert make_splits(dataset, folds=2, scenes=scenes).holdout == tuple(range(20))
    dataset = dataset_of([(1,)] * 20 + [(2,)] * 21 + [(2, 3)] * 30)
    assert make_splits(dataset, folds=2, scenes=scenes).holdout == tuple(range(20, 41))


def test_declared_groups_are_never_cut():
    dataset = dataset_of([(1,)] * 40, group=[str(row // 20) for row in range(40)])
    said = r'count once; of all 40 photos 40 by a declared group\), .* at least 3: check what "group" the images have'
    with pytest.raises(UserError, match=rf"leaves 2 different photos to split \(those that belong together {said}"):
        make_splits(dataset, folds=2)


def test_a_group_by_that_makes_all_photos_one_scene_is_named_with_what_to_do():
    dataset = dataset_of([(1,)] * 40)
    scenes = declared_scenes(dataset.images, r"\.\w+$")
    said = r"count once; of all 40 photos 40 by --group-by\), .* at least 6: leave --group-by out, or let it find"
    with pytest.raises(UserError, match=rf"leaves 1 different photos to split \(those that belong together {said}"):
        make_splits(dataset, scenes=scenes)


def test_without_a_declaration_the_message_names_no_flag():
    dataset = dataset_of([(1,)] * 4)
    with pytest.raises(UserError, match=r"this takes at least 6: use fewer folds"):
        make_splits(dataset)
