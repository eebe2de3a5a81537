import numpy as np
import pytest

from ensembling import hard_vote, select_ensemble, shortlist
from ensembling.assessment import assess
from ensembling.scores import confusion_matrix, miou
from ensembling.selection import Options
from ensembling.shortlist import select_from_many
from tests.benchmarks.pools import make_pool

SIZE = (24, 20)


def pool_of(candidates, images=6):
    return make_pool(3, candidates, images, SIZE, num_classes=5)


def select(pool, options=None, **changes):
    options = options or Options(max_members=6)
    sizes = [SIZE] * (pool.target.size // (SIZE[0] * SIZE[1]))
    return select_from_many(list(pool.predictions), pool.target, 5, options, **{"sizes": sizes} | changes)


def test_shortlist_of_everyone_is_the_plain_selection():
    pool = pool_of(9)
    expected = select_ensemble(pool.predictions, pool.target, 5, max_members=6, image_ids=pool.image_ids)
    selection = select(pool, shortlist=9, image_ids=pool.image_ids)
    for field in vars(expected):
        np.testing.assert_equal(getattr(selection, field), getattr(expected, field))


def test_scores_and_promise_are_exact_whatever_was_sampled(monkeypatch):
    monkeypatch.setattr(shortlist, "STREAM_BYTES", 1)
    pool = pool_of(90, images=150)  # more than one step of the stream
    selection = select(pool, Options(max_members=6, must_include=(77,)), shortlist=20, threads=2, memory_gb=1e-4)
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


def test_wrong_sizes_and_ids_are_refused():
    pool = pool_of(3)
    with pytest.raises(ValueError, match=r"sizes have 480 pixels, but target has 2880"):
        select(pool, sizes=[SIZE])
    pool.predictions[1, 2000] = 9
    with pytest.raises(ValueError, match="candidate 1: class id 9 at pixel 2000"):
        select(pool)
