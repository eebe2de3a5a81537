"""Diversity of members: recounted pixel by pixel, and Shapley values over every subset."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from ensembling.assessment import diversity
from ensembling.assessment.diversity import find_patterns, mean_disagreement, measure_diversity, shapley_values
from tests.ensembling.recounted import naive
from tests.ensembling.recounted.cases import random_case


def counted(case):
    inside = case.target != case.ignore_index
    return case.predictions[:, inside], case.target[inside]


def value(case, members):
    """mIoU of the vote of these ranks; the case's rows are taken to be in rank order."""
    if not members:
        return 0.0
    voted = naive.vote(case.predictions[sorted(members)], case.num_classes)
    return float(naive.miou(voted, case.target, case.num_classes, case.ignore_index))


def measured(case, **changes):
    arguments = {"ignore_index": case.ignore_index, "seed": case.seed} | changes
    return measure_diversity(case.predictions, case.target, case.num_classes, **arguments)


@pytest.mark.parametrize("seed", range(40))
def test_pairs_are_compared_pixel_by_pixel(seed):
    case = random_case(seed, candidates=4, pixels=60)
    votes, target = counted(case)
    result = measured(case, rounds=2)
    for one in range(4):
        for other in range(4):
            pixels = max(1, target.size)
            assert result.disagreement[one, other] == pytest.approx((votes[one] != votes[other]).sum() / pixels)
            both = ((votes[one] != target) & (votes[other] != target)).sum()
            assert result.double_fault[one, other] == pytest.approx(both / pixels)
            if len({*votes[one].tolist(), *votes[other].tolist()}) > 1:
                assert result.kappa[one, other] == pytest.approx(cohen_kappa_score(votes[one], votes[other]))
            else:  # one class alone, or no pixel: always agreed
                assert result.kappa[one, other] == 1


@pytest.mark.parametrize("seed", range(40))
def test_leaving_a_member_out_is_a_vote_of_the_others(seed):
    case = random_case(seed, candidates=5, pixels=40)
    result = measured(case, rounds=2)
    for member in range(5):
        without = value(case, set(range(5)) - {member})
        assert result.leave_one_out[member] == pytest.approx(value(case, range(5)) - without, abs=1e-13)


def shapley_by_definition(case, members):
    def share(size):
        return factorial(size) * factorial(members - size - 1) / factorial(members)

    others = [set(range(members)) - {member} for member in range(members)]
    return [
        sum(
            share(size) * (value(case, {*subset, member}) - value(case, subset))
            for size in range(members)
            for subset in combinations(others[member], size)
        )
        for member in range(members)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_shapley_values_come_near_their_definition_as_their_errors_say(seed):
    case = random_case(seed, candidates=4, pixels=60)
    result = measured(case, rounds=400)
    exact = np.array(shapley_by_definition(case, 4))
    assert (np.abs(result.shapley - exact) <= 4.5 * result.shapley_error + 1e-12).all()
    assert result.shapley_error.max() < 0.02


def test_shapley_values_add_up_to_the_vote():
    case = random_case(8, candidates=7, pixels=80)
    assert measured(case, rounds=3).shapley.sum() == pytest.approx(value(case, range(7)), abs=1e-13)


def test_a_weighted_member_is_worth_as_much_as_its_copies():
    case = random_case(9, candidates=4, pixels=80)
    weighted = measured(case, weights=[1, 3, 2, 1], rounds=2)
    copies = case.predictions[[0, 1, 1, 1, 2, 2, 3]]
    voted = naive.vote(copies, case.num_classes)
    whole = float(naive.miou(voted, case.target, case.num_classes, case.ignore_index))
    assert weighted.shapley.sum() == pytest.approx(whole, abs=1e-13)
    without = naive.vote(copies[[0, 4, 5, 6]], case.num_classes)
    lost = whole - float(naive.miou(without, case.target, case.num_classes, case.ignore_index))
    assert weighted.leave_one_out[1] == pytest.approx(lost, abs=1e-13)


def test_copies_share_what_they_add():
    target = np.random.default_rng(0).integers(0, 3, 300).astype(np.uint8)
    row = np.where(np.arange(300) % 5 == 0, (target + 1) % 3, target).astype(np.uint8)
    result = measure_diversity([row] * 3, target, 3, rounds=800)
    np.testing.assert_allclose(result.shapley, result.shapley.mean(), atol=4.5 * result.shapley_error.max())
    assert result.kappa.min() == 1
    assert result.leave_one_out.tolist() == [0, 0, 0]


def test_the_same_seed_gives_the_same_values():
    case = random_case(2, candidates=5, pixels=50)
    once, again, other = (measured(case, seed=seed, rounds=5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once.shapley, again.shapley)
    assert (once.shapley != other.shapley).any()


@pytest.mark.parametrize("members", [3, 16, 40])
def test_patterns_are_the_distinct_columns_and_how_often_they_occur(members, monkeypatch):
    monkeypatch.setattr(diversity, "BLOCK_PIXELS", 64)
    rng = np.random.default_rng(members)
    columns = rng.integers(0, 11, (members + 1, 30)).astype(np.uint8)
    columns[1, 3] = 255
    columns[0, 5] = 255  # the target: ignored
    drawn = columns[:, rng.integers(0, 30, 900)]
    patterns = find_patterns(drawn[1:], drawn[0], 11)
    found = {(int(t), *v): n for t, v, n in zip(patterns.target, patterns.votes.T.tolist(), patterns.times.tolist())}
    expected = {}
    for column in drawn.T.tolist():
        if column[0] != 255:
            expected[tuple(column)] = expected.get(tuple(column), 0) + 1
    assert found == expected


def test_one_member_and_no_pixel_are_measured_too():
    alone = measure_diversity([np.array([0, 1, 1], np.uint8)], np.array([0, 1, 0], np.uint8), 2)
    assert np.isnan(alone.leave_one_out).all()
    assert alone.shapley.tolist() == pytest.approx([0.5])
    assert alone.shapley_error.tolist() == [0]
    nothing = measure_diversity([np.zeros(0, np.uint8)] * 2, np.zeros(0, np.uint8), 2)
    assert nothing.disagreement.tolist() == [[0, 0], [0, 0]]
    assert nothing.shapley.tolist() == [0, 0]


def test_errors_shrink_with_the_root_of_the_rounds():
    case = random_case(5, candidates=6, pixels=200)
    patterns = find_patterns(case.predictions, case.target, case.num_classes, ignore_index=case.ignore_index)
    few, many = (shapley_values(patterns, rounds, seed=0)[1].mean() for rounds in (20, 320))
    assert many == pytest.approx(few / 4, rel=0.35)


@pytest.mark.parametrize("seed", range(10))
def test_a_pools_disagreement_is_the_mean_over_its_pairs(seed):
    case = random_case(seed, candidates=4, pixels=60)
    pairs = measured(case, rounds=2).disagreement[np.triu_indices(4, 1)]
    found = mean_disagreement(case.predictions, case.target, case.ignore_index)
    assert found == pytest.approx(pairs.mean())
    with pytest.raises(ValueError, match="at least two"):
        mean_disagreement(case.predictions[:1], case.target)
