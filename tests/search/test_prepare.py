"""What a study is made of: pseudo-labels are matched, kept apart from scored photos, and remembered."""

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from search.prepare import edited_data, prepare_data, pseudo_data
from search.study.checked_data import checked_data
from search.study.study import check_same_data, new_study, open_study
from tests import tiny
from tests.trainables.data.made import write_photo
from trainables.data import write_pseudo
from trainables.data.edits import read_edits
from trainables.errors import UserError

SIZE = (32, 48)
NAMES = ("Background", "Paper", "Glass")


@pytest.fixture
def write_labels(tmp_path):
    def write(photos, name="P", names=NAMES):
        square = np.ones((tiny.HEIGHT, tiny.WIDTH), np.uint8)
        items = [(photo, photo.name, square, square) for photo in photos]
        write_pseudo(tmp_path / name, names, items, agree=1)
        return str(tmp_path / name)

    return write


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / "new" / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        write_photo(path, tiny.WIDTH, tiny.HEIGHT, seed=100 + number)
    return paths


def prepare(settings, dataset, **changes):
    console = Console(file=io.StringIO(), width=200)
    pseudo = pseudo_data(dataset, tiny.SPLITS, [SIZE], dataclasses.replace(settings, **changes), console)
    return pseudo, console.file.getvalue().strip()


def test_without_the_flag_there_are_none(settings, dataset):
    assert prepare(settings, dataset) == (None, "")


def test_they_are_packed_and_have_the_weight_asked_for(settings, dataset, photos, write_labels):
    pseudo, said = prepare(settings, dataset, pseudo=write_labels(photos), pseudo_weight=0.25)
    assert (pseudo.rows, pseudo.weight) == ((0, 1, 2), 0.25)
    assert said.startswith("Looking for photos that belong together: 11 of 11")
    assert "left out" not in said
    assert list(settings.cache_dir.glob(f"packed-*{pseudo.fingerprint[:16]}*48x32"))


def test_photos_of_the_data_set_are_left_out_and_counted(settings, dataset, photos, write_labels):
    known = [dataset.images[row].path for row in (0, 5)]  # of the holdout and of a fold
    for path, new in zip(known, photos):
        new.write_bytes(path.read_bytes())
    pseudo, said = prepare(settings, dataset, pseudo=write_labels(photos))
    assert pseudo.rows == (2,)
    assert "2 of the 3 photos of --pseudo" in said
    assert "are left out, since 2 are copies of labelled photos" in said


def test_nothing_but_photos_of_the_data_set_is_refused(settings, dataset, write_labels):
    root = write_labels([image.path for image in dataset.images])
    with pytest.raises(UserError, match=r"--pseudo .*: none of its 8 photos may be .* 8 are copies .*: give it others"):
        prepare(settings, dataset, pseudo=root)


def test_photos_that_group_by_puts_into_a_scene_of_the_data_set_are_refused_with_its_name(
    settings, dataset, photos, write_labels
):
    settings = dataclasses.replace(settings, pseudo=str(write_labels(photos)))
    said = "since 3 are copies of .*, or of one scene with some by --group-by 'png': give it others, or let --group-by"
    with pytest.raises(UserError, match=said):
        pseudo_data(dataset, tiny.SPLITS, [(32, 48)], settings, Console(quiet=True), "png")


def test_other_categories_are_refused(settings, dataset, photos, write_labels):
    with pytest.raises(UserError, match="category 'Metal' is missing from the labelled data set"):
        prepare(settings, dataset, pseudo=write_labels(photos, names=("Background", "Metal", "Paper", "Glass")))


def test_a_study_remembers_its_pseudo_labels_and_refuses_others(settings, dataset, photos, write_labels):
    pseudo, _ = prepare(settings, dataset, pseudo=write_labels(photos))
    with new_study(settings, dataset, tiny.SPLITS, pseudo).claimed(resume=False):
        pass
    study = open_study(settings)
    assert study.data.pseudo == pseudo
    check_same_data(study, dataset, pseudo)
    changed, _ = prepare(settings, dataset, pseudo=write_labels(photos[:2], "Q"))
    with pytest.raises(UserError, match=r"the pseudo-labels in .*Q are not those that the study mine was started with"):
        check_same_data(study, dataset, changed)


def test_pseudo_labels_leave_the_holdout_as_it_is(settings, dataset, photos, write_labels):
    """Trials with and without them can vote together."""
    pseudo, _ = prepare(settings, dataset, pseudo=write_labels(photos))
    studies = [new_study(settings, dataset, tiny.SPLITS, one) for one in (None, pseudo)]
    assert len({study.holdout_fingerprint for study in studies}) == 1


def test_files_of_other_names_are_those_of_the_study_and_its_workers(settings, tmp_path):
    """By a name below the data set's directory, and by a path of its own."""
    root = tiny.write_data(tmp_path / "data")
    (root / "train.json").rename(root / "fold 1.json")
    named = dataclasses.replace(settings, data=str(root), train_json="fold 1.json", cache_dir=tmp_path / "cache")
    dataset = checked_data(root, named, Console(file=io.StringIO()))
    study = new_study(named, dataset, tiny.SPLITS)
    with study.claimed(resume=False):
        pass
    opened = open_study(named)
    assert opened.data.train_json == "fold 1.json"
    assert len(opened.data.open((32, 48))) == 8
    (root / "fold 1.json").rename(tmp_path / "elsewhere.json")
    moved = dataclasses.replace(named, train_json=str(tmp_path / "elsewhere.json"))
    check_same_data(opened, checked_data(root, moved, Console(file=io.StringIO())))


@pytest.mark.parametrize(
    "rule", ["delete: {classes: [Paper, Glass]}", "min_area: {pixels: 100000}", "drop_images: {images: [%s]}"]
)
def test_corrections_that_leave_nothing_to_learn_are_refused(settings, dataset, tmp_path, rule):
    training = [dataset.images[row].file_name for row in tiny.SPLITS.training_rows("all")]
    file = tmp_path / "edits.yaml"
    file.write_text(f"rules:\n  - {rule.replace('%s', ', '.join(training))}\n")
    with pytest.raises(UserError, match=r"with the corrections in .*edits.yaml, \d+ photos are left to train on, none"):
        edited_data(dataset, read_edits(file), tiny.SPLITS, [SIZE], settings, Console(file=io.StringIO()))


def test_labels_of_the_holdout_alone_are_refused(settings, tmp_path, monkeypatch):
    root = tiny.write_data(tmp_path / "data")
    content = json.loads((root / "train.json").read_text())
    held_out = {content["images"][row]["id"] for row in tiny.SPLITS.holdout}
    labels = [one for one in content["annotations"] if one["image_id"] in held_out]
    (root / "train.json").write_text(json.dumps(content | {"annotations": labels}))
    monkeypatch.setattr("search.prepare.make_splits", lambda *_, **__: tiny.SPLITS)
    settings, console = dataclasses.replace(settings, data=str(root)), Console(file=io.StringIO())
    with pytest.raises(UserError, match=r": 6 photos are left to train on, none of which has an annotation"):
        prepare_data(settings, checked_data(root, settings, console), console)


def test_a_class_that_the_holdout_lacks_is_said(settings, tmp_path, monkeypatch):
    root = tiny.write_data(tmp_path / "data")
    content = json.loads((root / "train.json").read_text())
    held_out = {content["images"][row]["id"] for row in tiny.SPLITS.holdout}
    labels = [one for one in content["annotations"] if one["image_id"] not in held_out or one["category_id"] == 1]
    (root / "train.json").write_text(json.dumps(content | {"annotations": labels}))
    monkeypatch.setattr("search.prepare.make_splits", lambda *_, **__: tiny.SPLITS)
    changes = {"data": str(root), "cache_dir": tmp_path / "cache", "space": "quickstart"}
    settings, console = dataclasses.replace(settings, **changes), Console(file=io.StringIO(), width=200)
    prepare_data(settings, checked_data(root, settings, console), console)
    assert "No holdout photo has Glass: no score says how well such a class is recognised." in console.file.getvalue()
