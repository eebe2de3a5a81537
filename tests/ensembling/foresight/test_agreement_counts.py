"""The counts of what a pool says, against the slow way."""

import numpy as np
import pytest

from ensembling import hard_vote
from ensembling.foresight.agreement_counts import AgreementCounter
from ensembling.scores import confusion_matrix, counts_from_confusion

CLASSES, RUNS = 3, 4


@pytest.fixture
def photos():
    rng = np.random.default_rng(0)
    found = []
    for size in ((5, 7), (4, 3)):
        target = rng.integers(0, CLASSES, size).astype(np.uint8)
        target[0, :2] = 255
        maps = np.where(rng.random((RUNS, *size)) < 0.6, target % CLASSES, rng.integers(0, CLASSES, (RUNS, *size)))
        found.append((maps.astype(np.uint8), target))
    return found


def looked(photos, *, labelled):
    counter = AgreementCounter(RUNS, CLASSES, labelled=labelled)
    for maps, target in photos:
        counter.add(maps, hard_vote(maps, CLASSES), target if labelled else None)
    return counter


def pixels(photos, *, labelled):
    """All voters' classes at each pixel that counts, and its label."""
    for maps, target in photos:
        voters = np.concatenate([maps, hard_vote(maps, CLASSES)[None]]).reshape(RUNS + 1, -1)
        for column, label in zip(voters.T, target.reshape(-1)):
            if not labelled or label != 255:
                yield column, label


@pytest.mark.parametrize("labelled", [False, True])
def test_counts_are_those_of_every_pixel(photos, labelled):
    counter = looked(photos, labelled=labelled)
    counts = counter.counts()
    together = np.zeros((RUNS + 1, RUNS + 1, CLASSES), int)
    support = np.zeros((RUNS + 1, CLASSES, RUNS + 1), int)
    for column, _ in pixels(photos, labelled=labelled):
        for one in range(RUNS + 1):
            support[one, column[one], np.count_nonzero(column[:-1] == column[one])] += 1
            for other in range(one, RUNS + 1):
                together[one, other, column[one]] += column[one] == column[other]
    assert np.array_equal(counts.together, together)
    assert np.array_equal(counts.support, support)
    assert np.array_equal(counts.of_photos.sum(axis=0), support[-1])
    assert counts.of_photos.shape == (2, CLASSES, RUNS + 1)


def test_labels_give_each_voters_confusion_and_the_votes_photo_by_photo(photos):
    known = looked(photos, labelled=True).labelled_counts()
    for run in range(RUNS):
        expected = sum(confusion_matrix(maps[run], target, CLASSES) for maps, target in photos)
        assert np.array_equal(known.confusions[run], expected)
    for own, (maps, target) in zip(known.hits, photos):
        assert np.array_equal(own, counts_from_confusion(confusion_matrix(hard_vote(maps, CLASSES), target, CLASSES)))


def test_a_run_that_abstains_counts_nowhere():
    counter = AgreementCounter(2, CLASSES)
    maps = np.array([[[255, 1]], [[2, 1]]], np.uint8)
    counter.add(maps, hard_vote(maps, CLASSES))
    counts = counter.counts()
    assert counts.support[0].sum() == 1
    assert counts.support[1, 2, 1] == 1  # one run predicts class 2
    assert counts.together[0, 1].sum() == 1
