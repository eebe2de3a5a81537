"""Selection through a shortlist: the same as without one where it has room for all."""

import numpy as np
import pytest

from ensembling import hard_vote, select_ensemble
from ensembling.assessment.assess import assess
from ensembling.scores import confusion_matrix, miou
from ensembling.selection import shortlist
from ensembling.selection.crossfit import fold_of_images
from ensembling.selection.options import Options
from ensembling.selection.shortlist import select_from_many
from tests.benchmarks.vote.pools import make_pool

SIZE = (24, 20)


def pool_of(candidates, images=6):
    return make_pool(3, candidates, images, SIZE, num_classes=5)


def select(pool, options=None, **changes):
    options = options or Options(max_members=6)
    sizes = [SIZE] * (pool.target.size // (SIZE[0] * SIZE[1]))
    return select_from_many(list(pool.predictions), pool.target, 5, options, **{"sizes": sizes} | changes)


def test_shortlist_of_everyone_is_the_plain_selection():
    pool = pool_of(9)
    for mode in ("greedy", "bagged_images"):
        expected = select_ensemble(pool.predictions, pool.target, 5, mode=mode, max_members=6, image_ids=pool.image_ids)
        selection = select(pool, Options(mode, max_members=6), shortlist=9, image_ids=pool.image_ids)
        for field in vars(expected):
            np.testing.assert_equal(getattr(selection, field), getattr(expected, field))


def test_scores_and_promise_are_exact_whatever_was_sampled(monkeypatch):
    monkeypatch.setattr(shortlist, "STREAM_BYTES", 1)
    pool = pool_of(90, images=150)  # more than one step of the stream
    selection = select(pool, Options(max_members=6, must_include=(77,)), shortlist=20, threads=2, memory_bytes=1e5)
    own = [miou(confusion_matrix(row, pool.target, 5)) for row in pool.predictions]
    np.testing.assert_allclose(selection.scores, own, atol=1e-13)
    assert list(selection.ranking) == sorted(range(90), key=lambda index: (-own[index], index))
    assert list(selection.members) == sorted(selection.members, key=selection.ranking.index)
    assert 77 in selection.members
    voted = hard_vote(pool.predictions[list(selection.members)], 5)
    assert selection.miou == pytest.approx(miou(confusion_matrix(voted, pool.target, 5)), abs=1e-13)
    exact = select_ensemble(pool.predictions, pool.target, 5, max_members=6, must_include=[77])
    assert selection.miou > exact.miou - 0.01


def test_the_crossfit_of_a_shortlist_names_the_candidates_that_voted():
    pool = pool_of(40)
    selection = select(pool, Options(max_members=6), shortlist=10, image_ids=pool.image_ids)
    assert any(index >= 10 for members in selection.crossfit.members for index in members)
    voted = assess(selection, pool.predictions, pool.target, 5, pool.image_ids)
    assert voted.crossfit_miou.value == pytest.approx(selection.crossfit_miou, abs=1e-13)


def test_each_fold_has_a_shortlist_that_it_had_no_part_in():
    """Candidates guess, so that whoever looks best on all images is so by chance, also on those held out."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 600).astype(np.uint8)
    predictions = rng.integers(0, 2, (900, 600)).astype(np.uint8)
    images = np.arange(600) // 20
    selection = select_from_many(
        predictions, target, 2, Options(max_members=5), sizes=[(4, 5)] * 30, shortlist=12, image_ids=images
    )
    assert selection.miou > 1 / 3 + 0.1
    assert selection.crossfit_miou == pytest.approx(1 / 3, abs=0.04)
    for fold, (members, ranking) in enumerate(zip(selection.crossfit.members, selection.crossfit.rankings)):
        others = ~np.isin(images, np.flatnonzero(fold_of_images(30, 0)[0] == fold))
        own = [miou(confusion_matrix(row[others], target[others], 2)) for row in predictions]
        assert list(ranking) == sorted(range(900), key=lambda index: (-round(own[index], 12), index))
        assert list(members) == sorted(members, key=ranking.index)


def test_wrong_sizes_and_ids_are_refused():
    pool = pool_of(3)
    with pytest.raises(ValueError, match=r"sizes have 480 pixels, but target has 2880"):
        select(pool, sizes=[SIZE])
    pool.predictions[1, 2000] = 9
    with pytest.raises(ValueError, match="candidate 1: class id 9 at pixel 2000"):
        select(pool)
