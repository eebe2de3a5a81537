"""Votes against labels, by hand."""

import math

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.trainables.data.made import annotation, box, coco, image, write
from trainables.data.coco import load_annotations
from trainables.data.exploration.suspects import (
    LEAST_SHARE,
    PRIOR,
    TEMPERATURES,
    Votes,
    owners,
    probability_of_labels,
)


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
    assert (paper.says, paper.unanimity) == (1, paper.agreement)


def naive_probabilities(shares, labels):
    """The formula, one annotation and one class after the other."""
    classes, best = shares.shape[1], None
    for temperature in TEMPERATURES:
        right = []
        for own, label in enumerate(labels):
            likely = {}
            for k in set(labels.tolist()):
                others = [place for place, one in enumerate(labels) if one == k and place != own]
                start = [PRIOR * ((c == k) + shares[:, c].mean()) / 2 for c in range(classes)]
                sums = [sum(shares[place, c] for place in others) + start[c] for c in range(classes)]
                q = [max(one / sum(sums), LEAST_SHARE) for one in sums]
                said = sum(share * math.log(one) for share, one in zip(shares[own], q))
                likely[k] = (len(others) + PRIOR / 2) * math.exp(temperature * said)
            right.append(likely[label] / sum(likely.values()))
        total = sum(math.log(one + LEAST_SHARE) for one in right)
        best = max(best or (total, right), (total, right))
    return best[1]


def test_the_probability_of_a_label_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    labels = np.array([1, 1, 1, 2, 2, 2, 2, 4])
    shares = rng.dirichlet(np.ones(5), size=8)
    shares[np.arange(8), labels] += 1
    shares /= shares.sum(axis=1, keepdims=True)
    assert probability_of_labels(shares, labels).tolist() == pytest.approx(naive_probabilities(shares, labels))


def test_what_models_always_take_for_another_class_is_no_suspect():
    """Class 1 is told from the others; models take every second annotation of 2 for 3, and miss all those of 4."""
    said = {1: [1], 2: [2, 3], 3: [3], 4: [0]}
    labels = np.repeat([1, 2, 3, 4], 10)
    shares = np.eye(5)[[said[label][place % len(said[label])] for place, label in enumerate(labels)]]
    wrong = 5  # an annotation of class 1 on which all votes are for 3
    shares[wrong] = np.eye(5)[3]
    suspicion = 1 - probability_of_labels(shares, labels)
    assert suspicion.argmax() == wrong
    assert suspicion[wrong] > 0.9
    assert suspicion[labels == 4].max() < 0.5


def test_the_most_contradicted_comes_first(dataset):
    votes = Votes(dataset)
    for row, class_id in ((0, 1), (1, 1)):
        votes.add(row, constant(class_id))
    found = votes.suspects()
    assert sorted(one.annotation_id for one in found) == [1, 2, 3]
    assert [one.suspicion for one in found] == sorted((one.suspicion for one in found), reverse=True)


def test_photos_that_nobody_voted_on_are_not_ranked(dataset):
    votes = Votes(dataset)
    votes.add(1, constant(2))
    assert list(by_id(votes)) == [3]
    assert Votes(dataset).suspects() == []
