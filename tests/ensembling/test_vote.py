"""The hard vote: ties, abstentions and weights, against a slow recount."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ensembling import hard_vote, vote
from tests.ensembling.recounted import naive

BALLOTS = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 9), st.integers(0, 30)),
    elements=st.sampled_from([0, 1, 2, 3, 255]),
)


def votes_of(*rows):
    return np.array(rows, np.uint8)


@settings(max_examples=400, deadline=None)
@given(votes=BALLOTS)
def test_vote_equals_the_rule_as_it_is_told(votes):
    np.testing.assert_array_equal(hard_vote(votes, 4), naive.vote(votes, 4))


@settings(max_examples=100, deadline=None)
@given(votes=BALLOTS, seed=st.integers(0, 99))
def test_untied_pixels_do_not_depend_on_ranks(votes, seed):
    counts = np.array([(votes == class_id).sum(axis=0) for class_id in range(4)])
    untied = (counts == counts.max(axis=0)).sum(axis=0) == 1
    shuffled = votes[np.random.default_rng(seed).permutation(len(votes))]
    np.testing.assert_array_equal(hard_vote(votes, 4)[untied], hard_vote(shuffled, 4)[untied])


@settings(max_examples=100, deadline=None)
@given(votes=BALLOTS)
def test_two_members_vote_as_the_better_one(votes):
    votes = np.where(votes == 255, 3, votes).astype(np.uint8)
    worse = votes[-1]
    np.testing.assert_array_equal(hard_vote(np.stack([votes[0], worse]), 4), votes[0])


@pytest.mark.parametrize(
    ("column", "winner"),
    [
        ([2, 1, 1], 1),
        ([2, 1], 2),
        ([1, 2], 1),
        ([0, 2, 1, 1, 2], 2),
        ([0, 1, 2, 2, 1], 1),
        ([3, 1, 2, 2, 1, 3], 3),
        ([255, 1, 2], 1),
        ([255, 2, 255], 2),
        ([255, 255], 0),
        ([255, 0, 0, 2], 0),
    ],
)
def test_ties_go_to_the_best_ranked_member_among_those_voting_for_a_tied_class(column, winner):
    assert hard_vote(votes_of(*[[ballot] for ballot in column]), 4).tolist() == [winner]


def test_maps_keep_their_shape_and_dtype():
    votes = np.random.default_rng(0).integers(0, 5, (3, 2, 7, 9)).astype(np.uint8)
    winners = hard_vote(votes, 5)
    assert (winners.shape, winners.dtype) == ((2, 7, 9), np.uint8)
    np.testing.assert_array_equal(winners.reshape(-1), naive.vote(votes.reshape(3, -1), 5))


def test_memory_layout_and_block_size_do_not_matter(monkeypatch):
    votes = np.random.default_rng(1).integers(0, 4, (5, 40, 30)).astype(np.uint8)
    expected = naive.vote(votes.reshape(5, -1), 4).reshape(40, 30)
    np.testing.assert_array_equal(hard_vote(np.asfortranarray(votes), 4), expected)
    votes.setflags(write=False)
    np.testing.assert_array_equal(hard_vote(votes, 4), expected)
    monkeypatch.setattr(vote, "BLOCK_PIXELS", 7)
    np.testing.assert_array_equal(hard_vote(votes, 4), expected)


def test_more_than_255_members_are_counted():
    votes = votes_of(*[[1]] * 300, *[[2]] * 301)
    assert hard_vote(votes, 3).tolist() == [2]


def test_empty_map_has_an_empty_vote():
    assert hard_vote(np.zeros((3, 0, 5), np.uint8), 2).shape == (0, 5)


def test_class_254_is_the_last_that_can_be_voted_for():
    assert hard_vote(votes_of([254], [254], [0]), 255).tolist() == [254]


@pytest.mark.parametrize(
    ("votes", "num_classes", "message"),
    [
        (np.zeros((2, 3), np.int64), 3, "votes are int64, but must be uint8"),
        (np.zeros((2, 3), np.bool_), 3, "votes are bool, but must be uint8"),
        (np.zeros((0, 3), np.uint8), 3, r"votes have shape \(0, 3\).*at least one member"),
        (np.uint8(3), 4, r"votes have shape \(\)"),
        (
            votes_of([0, 1], [1, 3]),
            3,
            "votes of member 1: class id 3 at pixel 1, but num_classes is 3: ids must be 0 to 2",
        ),
        (votes_of([254]), 254, "class id 254 at pixel 0, but num_classes is 254"),
        (votes_of([0]), 0, "num_classes is 0, but must be from 1 to 255"),
        (votes_of([0]), 256, "num_classes is 256, but must be from 1 to 255"),
        (votes_of([0]), 2.0, "num_classes is 2.0, but must be a whole number"),
    ],
)
def test_wrong_votes_are_refused(votes, num_classes, message):
    with pytest.raises(ValueError, match=message):
        hard_vote(votes, num_classes)


def test_refusal_names_the_pixel_of_the_whole_map(monkeypatch):
    monkeypatch.setattr(vote, "BLOCK_PIXELS", 7)
    votes = np.zeros((2, 50), np.uint8)
    votes[1, 40] = 9
    with pytest.raises(ValueError, match="member 1: class id 9 at pixel 40"):
        hard_vote(votes, 3)
