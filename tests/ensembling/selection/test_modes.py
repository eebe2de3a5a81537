"""The other modes of the selection against slow searches of the same kind."""

import numpy as np
import pytest

from ensembling import hard_vote, select_ensemble
from ensembling.selection.modes import MODES
from tests.ensembling.recounted import naive, naive_modes
from tests.ensembling.recounted.cases import assert_same, random_case

CASES = 120


def constraints(case, seed):
    """Some must be in, some begin, within what max_members allows."""
    rng = np.random.default_rng(seed)
    given = rng.permutation(len(case.predictions))[: rng.integers(0, case.max_members + 1)].tolist()
    cut = int(rng.integers(0, len(given) + 1))
    return given[:cut], given[cut:]


def expected_votes(mode, case, must_include, start, image_of_pixel):
    """{candidate: votes} by the slow reference."""
    scored = (case.target, case.num_classes, case.ignore_index)
    ranking, _ = naive.rank(case.predictions, *scored)
    judge = naive_modes.Judge(case.predictions[ranking], *scored)
    pool, most = list(range(len(ranking))), case.max_members
    must, begin = (sorted(ranking.index(index) for index in given) for given in (must_include, start))
    first = sorted({*must, *begin})
    votes = {
        "greedy": lambda: naive_modes.greedy(judge, pool, most, first)[0],
        "swap": lambda: naive_modes.swap(judge, pool, most, must, begin),
        "beam": lambda: naive_modes.beam(judge, pool, most, first, 3),
        "exhaustive": lambda: naive_modes.exhaustive(judge, pool, most, must),
        "replacement": lambda: naive_modes.replacement(judge, pool, most, first)[0],
        "bagged_images": lambda: naive_modes.bagged_images(judge, pool, most, first, image_of_pixel, case.seed),
        "bagged_runs": lambda: naive_modes.bagged_runs(judge, pool, most, first, case.seed),
    }[mode]()
    votes = votes if isinstance(votes, dict) else dict.fromkeys(votes, 1)
    return {ranking[rank]: votes[rank] for rank in sorted(votes)}, judge(votes)


@pytest.mark.parametrize("mode", MODES)
def test_mode_equals_the_slow_reference(mode):
    for seed in range(CASES if "bagged" not in mode else CASES // 4):
        case = random_case(20_000 + seed)
        if len(case.predictions) > 6 and mode in ("swap", "bagged_runs"):
            continue
        must_include, start = constraints(case, seed) if seed % 2 else ((), ())
        start = () if mode == "exhaustive" else start
        images = np.unique(case.image_ids, return_inverse=True)[1]
        expected, score = expected_votes(mode, case, must_include, start, images)
        selection = select_ensemble(
            case.predictions,
            case.target,
            case.num_classes,
            mode=mode,
            max_members=case.max_members,
            must_include=must_include,
            start=start,
            beam_width=3,
            ignore_index=case.ignore_index,
            image_ids=case.image_ids if mode == "bagged_images" else None,
            seed=case.seed,
        )
        assert dict(zip(selection.members, selection.weights, strict=True)) == expected, seed
        assert list(selection.members) == list(expected)
        assert selection.miou == pytest.approx(float(score), abs=1e-13)
        voted = hard_vote(case.predictions[list(selection.members)], case.num_classes, weights=selection.weights)
        promised = naive.miou(voted, case.target, case.num_classes, case.ignore_index)
        assert selection.miou == pytest.approx(float(promised), abs=1e-13)


@pytest.mark.parametrize("mode", MODES)
def test_folds_of_the_crossfit_and_threads_change_no_selection(mode):
    for seed in range(8):
        case = random_case(30_000 + seed, candidates=5, pixels=60)
        arguments = {"mode": mode, "max_members": 4, "seed": 1, "ignore_index": case.ignore_index}
        maps = (case.predictions, case.target, case.num_classes)
        first = select_ensemble(*maps, **arguments, image_ids=case.image_ids)
        others = [select_ensemble(*maps, **arguments, image_ids=case.image_ids, threads=3)]
        if mode != "bagged_images":
            others.append(select_ensemble(*maps, **arguments))
        for other in others:
            for field in set(vars(first)) - ({"crossfit_miou", "crossfit"} if np.isnan(other.crossfit_miou) else set()):
                assert_same(getattr(other, field), getattr(first, field))


def test_every_mode_attains_at_most_what_exhaustive_does_and_swap_and_beam_at_least_greedy():
    for seed in range(40):
        case = random_case(40_000 + seed, candidates=6, pixels=60)
        score = {
            mode: select_ensemble(*(case.predictions, case.target, case.num_classes), mode=mode, max_members=5).miou
            for mode in ("greedy", "swap", "beam", "exhaustive")
        }
        assert max(score.values()) == score["exhaustive"]
        assert score["swap"] >= score["greedy"] - 1e-12


def test_replacement_does_not_stay_with_copies_of_the_best():
    target = np.tile(np.array([0, 1], np.uint8), 6)
    predictions = np.stack([target] * 3)
    for candidate in range(3):
        predictions[candidate, 4 * candidate : 4 * candidate + 4] ^= 1
    selection = select_ensemble(predictions, target, 2, mode="replacement", max_members=6)
    assert selection.path[:3] == (0, 1, 2)
    assert sorted(selection.path) == [0, 0, 1, 1, 2, 2]
    assert (selection.members, selection.weights, selection.miou) == ((0, 1, 2), (1, 1, 1), 1.0)


def test_members_that_must_be_included_stay_and_those_at_the_start_may_leave():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 300).astype(np.uint8)
    noise = rng.random((6, 300)) < np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.95])[:, None]
    predictions = np.where(noise, rng.integers(0, 3, (6, 300)), target).astype(np.uint8)
    for mode in MODES:
        chosen = select_ensemble(
            predictions, target, 3, mode=mode, must_include=[5], max_members=5, image_ids=np.arange(300) // 30
        )
        assert 5 in chosen.members
    assert 5 not in select_ensemble(predictions, target, 3, mode="swap", start=[5], max_members=5).members


ROWS, TARGET = np.zeros((17, 4), np.uint8), np.zeros(4, np.uint8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "annealing"}, "mode is 'annealing', but must be one of greedy, swap"),
        ({"mode": "exhaustive"}, "at most 16 candidates, but there are 17"),
        ({"mode": "bagged_images"}, "needs image_ids"),
        ({"must_include": [17]}, "a candidate of must_include is 17, but must be from 0 to 16"),
        ({"start": ["best"]}, "a candidate of start is 'best', but must be a whole number"),
        ({"start": [0], "mode": "exhaustive"}, "mode 'exhaustive' tries all sets, wherever it starts: leave start out"),
        ({"start": [0, 1], "must_include": [1, 2], "max_members": 2}, "name 3 candidates, but max_members is 2"),
        ({"mode": "beam", "beam_width": 0}, "beam_width is 0"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        select_ensemble(ROWS, TARGET, 2, **options)
