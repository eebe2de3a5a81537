"""The labels of photos that are predicted."""

import json

import numpy as np
import pytest

from tests.trainables.data.made import CATEGORIES, small
from trainables.data.annotations.labels import read_labels
from trainables.errors import UserError

CLASSES = {1: "Paper", 2: "Glass"}


def put(path, categories):
    path.write_text(json.dumps({**small(), "categories": categories}))
    return path


def test_a_category_without_annotations_need_not_be_a_class(tmp_path):
    groups = [{"id": 0, "name": "trash"}, {"id": 7, "name": "Paper"}, *CATEGORIES]
    labels = read_labels(put(tmp_path / "test.json", groups), CLASSES, "background")
    assert np.unique(labels.mask(1, (10, 20))).tolist() == [0, 1]


def test_one_with_annotations_must_be(tmp_path):
    file = put(tmp_path / "test.json", [{"id": 1, "name": "Paper"}, {"id": 2, "name": "Can"}])
    with pytest.raises(UserError, match=r"labels of other categories than the ensemble's \(Can\)"):
        read_labels(file, CLASSES, "background")
