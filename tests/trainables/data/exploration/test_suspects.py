"""Votes against labels, by hand."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.trainables.data.made import annotation, box, coco, image, write
from trainables.data.coco import load_annotations
from trainables.data.exploration.suspects import Votes, owners


@pytest.fixture
def dataset(tmp_path):
    """Row 0: a Paper of 100 pixels with a Glass of 16 on it. Row 1: a Glass of 24 pixels. Row 2 has nothing."""
    shapes = [annotation(1, 1, 1, box(0, 0, 10, 10)), annotation(2, 1, 2, box(2, 2, 4, 4)), annotation(3, 2, 2)]
    images = [image(number, f"{number}.png") for number in (1, 2, 3)]
    return load_annotations(write(tmp_path, photos=False, train=coco(images, shapes)))


def constant(class_id):
    return np.full((10, 20), class_id, np.uint8)


def by_id(votes):
    return {one.annotation_id: one for one in votes.suspects()}


def test_each_pixel_belongs_to_what_is_visible_there(dataset):
    whose = owners(dataset.images[0])
    assert np.unique(whose, return_counts=True)[1].tolist() == [100, 84, 16]
    assert whose[3, 3] == 1
    small = coco_mask.decode(dataset.images[0].annotations[1].segmentation)
    assert (whose[small == 1] == 1).all()


def test_votes_are_counted_on_visible_pixels_over_all_models(dataset):
    votes = Votes(dataset)
    half = constant(1)
    half[:, 5:] = 2
    for class_map in (constant(1), half):
        votes.add(0, class_map)
    paper, glass = by_id(votes)[1], by_id(votes)[2]
    assert (paper.visible, paper.models, glass.visible) == (84, 2, 16)
    # Of the 84 visible pixels of the Paper 46 are left of column 5 in the second map: 10 columns less the Glass.
    assert paper.agreement == pytest.approx((84 + 50 - 12) / 168)
    assert glass.agreement == pytest.approx(4 / 32)
    assert (glass.says, glass.unanimity) == (1, pytest.approx(28 / 32))
    assert glass.suspicion == pytest.approx((1 - 4 / 32) * 28 / 32)
    assert paper.suspicion == 0


def test_the_most_contradicted_comes_first_and_background_counts_half(dataset):
    votes = Votes(dataset)
    votes.add(0, constant(0))
    votes.add(1, constant(1))
    votes.add(2, constant(1))
    found = votes.suspects()
    assert [one.annotation_id for one in found] == [3, 1, 2]
    assert [one.suspicion for one in found] == [1.0, 0.5, 0.5]


def test_photos_that_nobody_voted_on_are_not_ranked(dataset):
    votes = Votes(dataset)
    votes.add(1, constant(2))
    assert list(by_id(votes)) == [3]
    assert by_id(votes)[3].suspicion == 0
