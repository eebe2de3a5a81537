"""StudyData: the packed cache of a node, built where it is missing, refused where the photos are others."""

import dataclasses
import pickle
import shutil

import numpy as np
import pytest

from tests import tiny
from trainables.errors import UserError

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
