"""The packed engine against its plain twin, and the twin against the vote in plain Python."""

import numpy as np
import pytest

from ensembling.counting import build_table, chunks
from ensembling.counting.reference import count_plainly
from tests.ensembling.recounted import naive


def problem(seed, *, candidates=9, pixels=700, num_classes=4, right=0.6, abstain=0.0, ignored=0.1):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, num_classes, pixels).astype(np.uint8)
    guesses = rng.integers(0, num_classes, (candidates, pixels))
    votes = np.where(rng.random(guesses.shape) < right, target, guesses).astype(np.uint8)
    votes[rng.random(votes.shape) < abstain] = 255
    target[rng.random(pixels) < ignored] = 255
    return votes, target, num_classes


AWKWARD = {
    "plain": {},
    "many ties": {"candidates": 4, "right": 0.0, "num_classes": 2},
    "abstentions": {"abstain": 0.3},
    "nobody votes": {"abstain": 1.0},
    "one candidate": {"candidates": 1},
    "one class": {"num_classes": 1, "abstain": 0.2},
    "255 classes": {"num_classes": 255, "right": 0.4, "candidates": 12},
    "seven classes at a pixel": {"num_classes": 9, "right": 0.0, "candidates": 20},
    "all ignored": {"ignored": 1.0},
    "no pixel": {"pixels": 0},
    "more candidates than bits": {"candidates": 70, "right": 0.8},
    "longer than a tile": {"pixels": 9001, "right": 0.95},
}


def plain_counts(votes, target, num_classes, ranking, weights, repeat):
    """Hits and predicted pixels of the vote, then of those with a vote more of each candidate, by rank."""
    counted = target != 255
    counts = np.zeros((1 + len(votes), 2, num_classes), np.int64)
    kept = np.ascontiguousarray(votes[:, counted])
    count_plainly(kept, target[counted], ranking, weights, repeat, counts[0], counts[1:])
    return counts[np.append(0, 1 + ranking)]


@pytest.mark.parametrize("most_groups", [chunks.MOST_GROUPS, 3])
@pytest.mark.parametrize("kind", AWKWARD)
def test_the_engine_counts_as_its_plain_twin_does(kind, most_groups, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_GROUPS", most_groups)
    for seed in range(4):
        votes, target, num_classes = problem(seed, **AWKWARD[kind])
        rng = np.random.default_rng(seed)
        ranking = rng.permutation(len(votes))
        table = build_table(list(votes), target, num_classes, chunk_pixels=4500).ranked(ranking)
        for size in {0, 1, min(2, len(votes)), len(votes) // 2, len(votes)}:
            members = {int(rank): int(rng.integers(1, 4)) for rank in rng.permutation(len(votes))[:size]}
            weights = np.zeros(len(votes), np.int64)
            weights[ranking[list(members)]] = list(members.values())
            for repeat in (False, True):
                expected = plain_counts(votes, target, num_classes, ranking, weights, repeat)
                np.testing.assert_array_equal(table.addition_counts(members, repeat=repeat)[:, :2], expected[1:])
                np.testing.assert_array_equal(table.vote_counts(members)[:2], expected[0])


@pytest.mark.parametrize("kind", AWKWARD)
def test_the_twin_counts_the_vote_as_it_is_told(kind):
    votes, target, num_classes = problem(0, **AWKWARD[kind] | {"pixels": AWKWARD[kind].get("pixels", 300) and 200})
    ranking = np.random.default_rng(1).permutation(len(votes))
    weights = np.zeros(len(votes), np.int64)
    weights[ranking[: 1 + len(votes) // 2]] = 1
    counts = plain_counts(votes, target, num_classes, ranking, weights, repeat=False)
    voting = [[candidate for candidate in ranking if weights[candidate]]]
    voting += [[other for other in ranking if weights[other] or other == candidate] for candidate in ranking]
    for members, counted in zip(voting, counts, strict=True):
        winners = naive.vote(votes[members], num_classes)[target != 255]
        kept = target[target != 255]
        np.testing.assert_array_equal(counted[1], np.bincount(winners, minlength=num_classes))
        np.testing.assert_array_equal(counted[0], np.bincount(winners[winners == kept], minlength=num_classes))


def test_pixels_that_no_group_takes_are_kept_as_they_are():
    votes, target, num_classes = problem(0, **AWKWARD["abstentions"])
    (chunk,) = build_table(list(votes), target, num_classes).chunks
    disputed = (votes != votes[0]).any(axis=0) & (target != 255)
    with_abstention = disputed & (votes == 255).any(axis=0)
    np.testing.assert_array_equal(chunk.columns.votes, votes[:, with_abstention])
    np.testing.assert_array_equal(chunk.columns.target, target[with_abstention])
    assert chunk.disputed == disputed.sum()
