"""The vote table against a slow recount, on small problems full of ties."""

import numpy as np
import pytest

from ensembling.counting import VoteTable, build_table
from ensembling.memory_budget import Budget
from ensembling.scores import confusion_matrix, counts_from_confusion
from tests.ensembling.recounted import naive
from tests.ensembling.recounted.cases import random_case


def table_of(case, **arguments):
    return build_table(
        list(case.predictions), case.target, case.num_classes, ignore_index=case.ignore_index, **arguments
    )


def recounted(case, votes, pixels=slice(None)):
    """Counts of the vote of `votes`, {candidate: votes}, best candidate first."""
    rows = np.repeat(case.predictions[list(votes)], list(votes.values()), axis=0)[:, pixels]
    target = case.target[pixels]
    voted = naive.vote(rows, case.num_classes) if votes else np.zeros(target.size, np.uint8)
    return counts_from_confusion(confusion_matrix(voted, target, case.num_classes, case.ignore_index))


@pytest.mark.parametrize("seed", range(20))
def test_row_of_an_addition_is_the_vote_of_the_larger_set(seed):
    case = random_case(seed, candidates=6, pixels=40)
    table = table_of(case)
    members = np.random.default_rng(seed).permutation(6)[: seed % 6]
    additions = table.addition_counts(members)
    for candidate in range(6):
        np.testing.assert_array_equal(additions[candidate], table.vote_counts({*members, candidate}))


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_the_confusion_matrix_whatever_the_ranking(seed):
    case = random_case(seed, candidates=70, pixels=40)
    table = table_of(case)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        ranking = rng.permutation(70)
        ranked = table.ranked(ranking)
        assert ranked.ranking == tuple(ranking)
        expected = recounted(case, dict.fromkeys(ranking[:68].tolist(), 1))
        np.testing.assert_array_equal(ranked.vote_counts(range(68)), expected)


@pytest.mark.parametrize("seed", range(20))
def test_members_with_several_votes_and_folds_count_as_often_as_they_are_named(seed):
    case = random_case(seed, candidates=6, pixels=300)
    rng = np.random.default_rng(seed)
    parts = rng.integers(0, 5, 300)
    table = table_of(case, part_of_pixel=parts, fold_of_part=np.array([0, 1, 0, 2, 1])).ranked([3, 1, 0, 5, 4, 2])
    folds = rng.integers(0, 3, 4)
    pixels = np.concatenate([np.flatnonzero(table.fold_of_part[parts] == fold) for fold in folds])
    members = {int(rank): int(rng.integers(1, 5)) for rank in rng.permutation(6)[: rng.integers(0, 6)]}

    def expected(members):
        return recounted(case, {table.ranking[rank]: members[rank] for rank in sorted(members)}, pixels)

    on_folds = table.on(folds)
    np.testing.assert_array_equal(on_folds.vote_counts(members), expected(members))
    additions, repeated = on_folds.addition_counts(members), on_folds.addition_counts(members, repeat=True)
    for rank in range(6):
        larger = {**members, rank: members.get(rank, 0) + 1}
        np.testing.assert_array_equal(repeated[rank], expected(larger))
        np.testing.assert_array_equal(additions[rank], expected(members if rank in members else larger))


def test_a_bootstrap_sample_counts_the_parts_that_were_drawn():
    case = random_case(3, candidates=5, pixels=200)
    parts = np.random.default_rng(0).integers(0, 8, 200)
    table = table_of(case, part_of_pixel=parts, fold_of_part=np.arange(8) // 4).on([1])
    drawn = np.random.default_rng(7).choice([4, 5, 6, 7], 4)
    pixels = np.concatenate([np.flatnonzero(parts == part) for part in drawn])
    sample = table.resampled(np.random.default_rng(7))
    np.testing.assert_array_equal(sample.vote_counts([0, 2, 4]), recounted(case, dict.fromkeys([0, 2, 4], 1), pixels))


@pytest.mark.parametrize("seed", range(20))
def test_all_sets_are_counted_as_each_of_them_is(seed):
    case = random_case(seed, candidates=5, pixels=60)
    table = table_of(case, chunk_pixels=25).ranked([2, 4, 0, 1, 3])
    sets = np.arange(1, 32, dtype=np.uint64)
    counts = table.set_counts(sets)
    for bits, counted in zip(sets.tolist(), counts, strict=True):
        np.testing.assert_array_equal(counted, table.vote_counts([rank for rank in range(5) if bits >> rank & 1]))


def test_joined_tables_count_the_pixels_of_all():
    case = random_case(8, candidates=6, pixels=100)
    pieces = [
        build_table([row[part] for row in case.predictions], case.target[part], case.num_classes)
        for part in (slice(0, 30), slice(30, 100))
    ]
    members = {0: 1, 3: 2, 4: 1}
    expected = build_table(list(case.predictions), case.target, case.num_classes).vote_counts(members)
    np.testing.assert_array_equal(VoteTable.joined(pieces).vote_counts(members), expected)


def test_a_table_beyond_its_budget_counts_from_files():
    case = random_case(9, candidates=6, pixels=3000)
    in_memory, in_files = table_of(case, chunk_pixels=1000), table_of(case, chunk_pixels=1000, budget=Budget(5000))
    assert in_files.nbytes == in_memory.nbytes > 5000
    expected = in_memory.addition_counts([0, 1, 2])
    np.testing.assert_array_equal(in_files.addition_counts([0, 1, 2]), expected)
