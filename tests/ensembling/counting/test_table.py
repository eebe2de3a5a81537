import numpy as np
import pytest

from ensembling.counting import chunks
from ensembling.counting.table import Bag, build_table
from ensembling.scores import confusion_matrix, counts_from_confusion
from tests.ensembling import naive
from tests.ensembling.cases import random_case


@pytest.fixture(autouse=True, params=[1, 3, 1000])
def least_pixels(request, monkeypatch):
    """The fewest pixels of a group that are put in blocks: all groups, some, none."""
    monkeypatch.setattr(chunks, "LEAST_PIXELS", request.param)


@pytest.mark.parametrize("seed", range(20))
def test_row_of_an_addition_is_the_vote_of_the_larger_set(seed):
    case = random_case(seed, candidates=6, pixels=40)
    table = build_table(list(case.predictions), case.target, case.num_classes, ignore_index=case.ignore_index)
    members = np.random.default_rng(seed).permutation(6)[: seed % 6]
    additions = table.addition_counts(members, [0])
    for candidate in range(6):
        np.testing.assert_array_equal(additions[candidate], table.vote_counts({*members, candidate}, [0]))


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_the_confusion_matrix_after_every_reranking(seed):
    case = random_case(seed, candidates=70, pixels=40)
    table = build_table(list(case.predictions), case.target, case.num_classes, ignore_index=case.ignore_index)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        ranking = rng.permutation(70)
        table.rerank(ranking)
        voted = naive.vote(case.predictions[ranking[:68]], case.num_classes)
        confusion = confusion_matrix(voted, case.target, case.num_classes, case.ignore_index)
        np.testing.assert_array_equal(table.vote_counts(range(68), [0]), counts_from_confusion(confusion))
    assert table.ranking == tuple(ranking)


@pytest.mark.parametrize("seed", range(20))
def test_bags_of_folds_and_members_with_several_votes_count_as_often_as_they_are_named(seed):
    case = random_case(seed, candidates=6, pixels=300)
    rng = np.random.default_rng(seed)
    folds = np.sort(rng.integers(0, 4, 300))
    arguments = {"ignore_index": case.ignore_index, "fold_of_pixel": folds, "num_folds": 4}
    table = build_table(list(case.predictions), case.target, case.num_classes, **arguments)
    members = {int(rank): int(rng.integers(1, 5)) for rank in rng.permutation(6)[: rng.integers(1, 6)]}
    times = rng.integers(0, 4, 4)

    def expected(members):
        ranks = sorted(members)
        rows = np.repeat(case.predictions[ranks], [members[rank] for rank in ranks], axis=0)
        pixels = np.repeat(np.arange(300), times[folds])
        voted = naive.vote(rows[:, pixels], case.num_classes)
        return counts_from_confusion(confusion_matrix(voted, case.target[pixels], case.num_classes, case.ignore_index))

    bags = (Bag(times), np.repeat(np.arange(4), times).tolist())
    for bag in bags:
        np.testing.assert_array_equal(table.vote_counts(members, bag), expected(members))
    additions = table.addition_counts(members, bags[0], repeat=True)
    for rank in range(6):
        np.testing.assert_array_equal(additions[rank], expected({**members, rank: members.get(rank, 0) + 1}))


def test_more_than_six_classes_at_a_pixel_and_all_ids_up_to_254_are_counted():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 255, 400).astype(np.uint8)
    predictions = np.where(rng.random((9, 400)) < 0.3, target, rng.integers(0, 255, (9, 400))).astype(np.uint8)
    table = build_table(list(predictions), target, 255)
    voted = naive.vote(predictions[2:7], 255)
    expected = counts_from_confusion(confusion_matrix(voted, target, 255))
    np.testing.assert_array_equal(table.vote_counts(range(2, 7), [0]), expected)
    assert table.disputed == (predictions != predictions[0]).any(axis=0).sum()
