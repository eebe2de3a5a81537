"""StudyData: the packed cache of a node, built where it is missing, refused where the photos are others."""

import dataclasses
import json
import pickle
import shutil

import numpy as np
import pytest

from tests import tiny
from trainables.config import TrialConfig
from trainables.data import load_dataset
from trainables.data.edits import Edits, edit_whole
from trainables.errors import NodeError, UserError
from trainables.study_data import StudyEdits
from trainables.training import Trainer

SIZE = (16, 24)


@pytest.fixture
def elsewhere(study, tmp_path):
    """The study on a node that has its own copy of the photos and no cache."""
    shutil.copytree(study.root, tmp_path / "data")
    return dataclasses.replace(study, root=tmp_path / "data", cache_dir=tmp_path / "cache")


def test_classes_are_counted_with_background(study):
    assert study.class_names == ("Background", "Paper", "Glass")
    assert study.num_classes == 3


def test_a_node_without_cache_builds_the_same_one(study, elsewhere):
    ours, theirs = study.open(SIZE), elsewhere.open(SIZE)
    assert theirs.directory.parent == elsewhere.cache_dir
    assert np.array_equal(ours.images, theirs.images)
    assert np.array_equal(ours.masks, theirs.masks)


def test_a_finished_cache_needs_no_photos(elsewhere):
    elsewhere.open(SIZE)
    shutil.rmtree(elsewhere.root)
    assert elsewhere.open(SIZE).images.shape == (8, 16, 24, 3)


def test_other_photos_than_the_studys_are_refused(elsewhere):
    shutil.copy(elsewhere.root / "1.png", elsewhere.root / "2.png")
    with pytest.raises(UserError, match=r"holds another data set here .*copy the same files to every node"):
        elsewhere.open(SIZE)
    assert not list(elsewhere.cache_dir.glob("packed*"))


def test_it_travels_small(study):
    travelled = pickle.dumps(study)
    assert len(travelled) < 5000
    assert pickle.loads(travelled) == study


def test_masks_are_what_was_drawn(study):
    mask = study.open(SIZE).full_mask(0)
    assert mask.shape == (tiny.HEIGHT, tiny.WIDTH)
    assert (mask[10, 10], mask[20, 50], mask[0, 0]) == (1, 2, 0)


EDITS = Edits("edits.yaml", ({"do": "delete", "classes": ["Paper"]}, {"do": "drop_images", "images": [3]}), False)


@pytest.fixture
def edited(elsewhere):
    """The study with corrections by which training photos lose their Paper, and row 2 is not trained on."""
    return dataclasses.replace(elsewhere, edits=(StudyEdits(EDITS, (2,)),))


def test_corrected_labels_are_those_that_are_trained_on(edited):
    before, after = edited.open(SIZE), edited.open(SIZE, "edits.yaml")
    assert before.directory != after.directory
    assert np.array_equal(before.masks[:2], after.masks[:2])
    assert (before.masks[2:] == 1).any()
    assert np.array_equal(np.where(before.masks[2:] == 1, 0, before.masks[2:]), after.masks[2:])


def test_photos_that_corrections_drop_are_not_trained_on(edited):
    assert edited.training_rows("all") == (2, 3, 4, 5, 6, 7)
    assert edited.training_rows("all", "edits.yaml") == (3, 4, 5, 6, 7)
    assert edited.training_rows(1, "edits.yaml") == (3, 6, 7)


def test_a_trainer_takes_the_corrections_of_its_configuration(edited):
    config = TrialConfig.from_dict(tiny.params(edits="edits.yaml", image_size="24x16"))
    trainer = Trainer(config, edited)
    assert not (trainer.packed.masks[2:] == 1).any()
    assert trainer.batches.photos_per_epoch == 4


def test_corrections_of_the_holdout_are_part_of_the_data_set(elsewhere):
    whole = Edits("whole.yaml", ({"do": "delete", "classes": ["Paper"]},), True)
    dataset = edit_whole(load_dataset(elsewhere.root), [whole])
    study = dataclasses.replace(elsewhere, edits=(StudyEdits(whole),), fingerprint=dataset.fingerprint)
    assert not (study.open(SIZE).masks == 1).any()
    assert study.open(SIZE, "whole.yaml").directory == study.open(SIZE).directory
    with pytest.raises(NodeError, match="holds another data set here"):
        dataclasses.replace(study, edits=(), cache_dir=elsewhere.cache_dir / "other").open(SIZE)


def test_unknown_corrections_are_named(edited):
    with pytest.raises(UserError, match=r"edits=other.yaml: .*it has edits.yaml"):
        edited.open(SIZE, "other.yaml")


def test_corrections_survive_json():
    one = StudyEdits(EDITS, (2,))
    assert StudyEdits.from_dict(json.loads(json.dumps(one.to_dict()))) == one
