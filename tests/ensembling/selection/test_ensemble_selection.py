"""The greedy selection against a slow recount, its limits, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembling import hard_vote, memory_budget, select_ensemble
from ensembling.counting import build_table
from ensembling.selection.ensemble_selection import best_beginning, rank_by_miou
from ensembling.selection.options import Options
from ensembling.selection.select_ensemble import select_from_table
from tests.ensembling.recounted import naive
from tests.ensembling.recounted.cases import assert_same, random_case

BATCHES, BATCH_CASES = 10, 1000


def select(case, **changes):
    arguments = {
        "max_members": case.max_members,
        "ignore_index": case.ignore_index,
        "image_ids": case.image_ids,
        "seed": case.seed,
    }
    return select_ensemble(case.predictions, case.target, case.num_classes, **arguments | changes)


def assert_close(scores, fractions):
    """A class in neither target nor vote is NaN against None."""
    expected = [np.nan if fraction is None else float(fraction) for fraction in fractions]
    assert len(scores) == len(expected)
    for score, exact in zip(scores, expected, strict=True):
        assert abs(score - exact) <= 1e-13 or (score != score and exact != exact)


def assert_equals_naive(case, selection):
    scored = (case.num_classes, case.ignore_index)
    ranking, scores, path, path_miou, members = naive.greedy(
        case.predictions, case.target, case.num_classes, case.max_members, case.ignore_index
    )
    assert selection.ranking == tuple(ranking)
    assert selection.path == tuple(path)
    assert selection.members == tuple(members)
    assert selection.weights == (1,) * len(members)
    assert_close(selection.scores, scores)
    assert_close(selection.path_miou, path_miou)
    assert_close([selection.miou], [max(path_miou)])
    voted = naive.vote_of(members, case.predictions, ranking, case.num_classes)
    assert_close(selection.iou, naive.ious(voted, case.target, *scored))
    sizes = {"best_single": 1, "top_3": 3, "top_5": 5, "all": len(ranking)}
    assert selection.baselines.keys() == sizes.keys()
    for name, size in sizes.items():
        top = naive.vote_of(ranking[:size], case.predictions, ranking, case.num_classes)
        assert_close([selection.baselines[name]], [naive.miou(top, case.target, *scored)])


@pytest.mark.parametrize("batch", range(BATCHES))
def test_selection_equals_the_slow_reference(batch):
    for seed in range(batch * BATCH_CASES, (batch + 1) * BATCH_CASES):
        case = random_case(seed)
        assert_equals_naive(case, select(case, image_ids=None))


@pytest.mark.parametrize("candidates", [63, 64, 65, 128, 129])
def test_selection_equals_the_slow_reference_past_the_width_of_a_word(candidates):
    case = random_case(candidates, candidates=candidates, pixels=12)
    changed = select(case, image_ids=None, max_members=4)
    assert_equals_naive(type(case)(**vars(case) | {"max_members": 4}), changed)


@pytest.mark.parametrize("candidates", [65, 129])
def test_votes_of_more_than_64_members_equal_the_slow_reference(candidates):
    rng = np.random.default_rng(candidates)
    target = rng.integers(0, 4, 200).astype(np.uint8)
    predictions = rng.integers(0, 4, (candidates, 200)).astype(np.uint8)
    selection = select_ensemble(predictions, target, 4, max_members=candidates)
    ranking = list(selection.ranking)
    assert sorted(selection.path) == list(range(candidates))
    for size in (64, 65, candidates):
        voted = naive.vote_of(selection.path[:size], predictions, ranking, 4)
        assert selection.path_miou[size - 1] == pytest.approx(float(naive.miou(voted, target, 4)), abs=1e-13)


def test_folds_chunks_threads_and_their_order_change_nothing():
    for seed in range(50):
        case = random_case(seed, pixels=40)
        table = build_table(
            list(case.predictions),
            case.target,
            case.num_classes,
            ignore_index=case.ignore_index,
            part_of_pixel=np.random.default_rng(seed).integers(0, 3, 40).astype(np.uint8),
            fold_of_part=np.arange(3),
            chunk_pixels=7,
            threads=2,
        )
        assert_equals_naive(case, select_from_table(table, Options(max_members=case.max_members)))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), order=st.integers(0, 2**32 - 1))
def test_order_of_pixels_and_images_changes_nothing(seed, order):
    case = random_case(seed)
    shuffled = np.random.default_rng(order).permutation(len(case.target))
    moved = {
        "predictions": case.predictions[:, shuffled],
        "target": case.target[shuffled],
        "image_ids": case.image_ids[shuffled],
    }
    before, after = select(case), select(type(case)(**vars(case) | moved))
    for field in vars(before):
        assert_same(getattr(after, field), getattr(before, field))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_promised_is_what_hard_vote_scores(seed):
    case = random_case(seed)
    selection = select(case)
    voted = hard_vote(case.predictions[list(selection.members)], case.num_classes)
    expected = naive.miou(voted, case.target, case.num_classes, case.ignore_index)
    assert selection.miou == pytest.approx(float(expected), abs=1e-13)
    assert selection.miou >= max(selection.baselines["best_single"], *selection.path_miou) - 1e-12
    assert list(selection.members) == sorted(selection.members, key=selection.ranking.index)
    assert set(selection.members) == set(selection.path[: len(selection.members)])
    assert len(set(selection.path)) == len(selection.path) == min(case.max_members, len(case.predictions))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_second_step_never_gains_without_abstentions(seed):
    case = random_case(seed, candidates=3)
    predictions = np.where(case.predictions == 255, 0, case.predictions).astype(np.uint8)
    selection = select_ensemble(predictions, case.target, case.num_classes, ignore_index=case.ignore_index)
    assert selection.path_miou[1] == selection.path_miou[0]
    assert len(selection.members) != 2


def three_that_beat_one():
    """Each candidate is wrong on two pixels of its own, so that two vote as one and three are right everywhere."""
    target = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1], np.uint8)
    predictions = np.stack([target] * 3)
    for candidate in range(3):
        predictions[candidate, [candidate, 3 + candidate]] ^= 1
    return predictions, target


def test_greedy_goes_on_past_a_step_without_gain():
    predictions, target = three_that_beat_one()
    selection = select_ensemble(predictions, target, 2)
    single = (2 / 4 + 5 / 7) / 2
    np.testing.assert_allclose(selection.path_miou, [single, single, 1.0], atol=1e-15)
    assert (selection.members, selection.path, selection.miou) == ((0, 1, 2), (0, 1, 2), 1.0)
    assert selection.baselines == pytest.approx({"best_single": single, "top_3": 1.0, "top_5": 1.0, "all": 1.0})


def test_path_goes_on_where_miou_falls_and_the_shortest_best_beginning_is_chosen():
    target = np.array([0, 1, 0, 1], np.uint8)
    predictions = np.stack([target ^ 1, target, target ^ 1, target])
    selection = select_ensemble(predictions, target, 2)
    assert selection.ranking == (1, 3, 0, 2)
    assert selection.path == (1, 3, 0, 2)
    assert selection.path_miou == (1.0, 1.0, 1.0, 1.0)
    assert selection.members == (1,)
    falling = select_ensemble(np.stack([target, target ^ 1, target ^ 1]), target, 2)
    assert falling.path_miou == (1.0, 1.0, 0.0)
    assert falling.members == (0,)


def test_equal_candidates_rank_by_index_even_if_their_mious_differ_in_the_last_bits():
    assert rank_by_miou(np.array([0.3, 0.1 + 0.2, 0.9, 0.3])) == [2, 0, 1, 3]
    assert rank_by_miou(np.array([0.1 + 0.2, 0.3, 0.3 + 1e-11])) == [2, 0, 1]


def test_the_best_beginning_takes_no_member_for_a_gain_of_rounding():
    assert best_beginning([4, 2, 1], [0.3, 0.2, 0.1 + 0.2]) == [4]
    assert best_beginning([4, 2, 1], [0.3, 0.2, 0.3 + 1e-11]) == [4, 2, 1]


def test_ties_between_candidates_for_a_step_go_to_the_better_rank():
    predictions, target = three_that_beat_one()
    copies = predictions[[0, 1, 2, 2, 1]]
    assert select_ensemble(copies, target, 2).path[:3] == (0, 1, 2)


def test_ignored_pixels_do_not_count():
    case = random_case(5, candidates=5, pixels=30)
    target = np.where(np.arange(30) % 3 == 0, 255, case.target).astype(np.uint8)
    kept = target != 255
    with_ignored = select_ensemble(case.predictions, target, case.num_classes, image_ids=np.arange(30) % 4)
    without = select_ensemble(
        case.predictions[:, kept], target[kept], case.num_classes, image_ids=(np.arange(30) % 4)[kept]
    )
    for field in vars(without):
        assert_same(getattr(with_ignored, field), getattr(without, field))


@pytest.mark.parametrize("pixels", [0, 6])
def test_holdout_without_a_counted_pixel_scores_zero(pixels):
    predictions = np.ones((3, pixels), np.uint8)
    selection = select_ensemble(predictions, np.full(pixels, 255, np.uint8), 2, image_ids=np.arange(pixels))
    assert (selection.members, selection.miou, selection.path) == ((0,), 0.0, (0, 1, 2))
    assert np.isnan(selection.iou).all()
    assert selection.baselines == {"best_single": 0.0, "top_3": 0.0, "top_5": 0.0, "all": 0.0}


def test_rows_may_be_memory_mapped_or_strided(tmp_path):
    case = random_case(11, candidates=4, pixels=50)
    np.save(tmp_path / "rows.npy", case.predictions)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    expected = select(case)
    for rows in (list(mapped), mapped, np.asfortranarray(case.predictions), tuple(case.predictions)):
        other = select_ensemble(
            rows,
            case.target,
            case.num_classes,
            max_members=case.max_members,
            ignore_index=case.ignore_index,
            image_ids=case.image_ids,
            seed=case.seed,
        )
        for field in vars(expected):
            assert_same(getattr(other, field), getattr(expected, field))


def test_memory_changes_where_the_table_is_and_nothing_else(monkeypatch):
    case = random_case(12, candidates=6, pixels=5000)
    problem = (case.predictions, case.target, case.num_classes)
    in_files, mapped = [], memory_budget.mapped
    monkeypatch.setattr(memory_budget, "mapped", lambda array: in_files.append(array.nbytes) or mapped(array))
    expected = select_ensemble(*problem, image_ids=case.image_ids)
    assert not in_files
    selection = select_ensemble(*problem, image_ids=case.image_ids, memory_bytes=104_000)
    assert sum(in_files) > 10_000
    for field in vars(expected):
        assert_same(getattr(selection, field), getattr(expected, field))


ROWS, TARGET = np.zeros((2, 4), np.uint8), np.zeros(4, np.uint8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predictions": ROWS.astype(np.int32)}, "predictions of candidate 0 is int32, but must be uint8"),
        ({"predictions": [ROWS[0], ROWS[1, :3]]}, "predictions of candidate 1 have 3 pixels, but target has 4"),
        (
            {"predictions": ROWS.reshape(2, 2, 2)},
            r"predictions of candidate 0 has shape \(2, 2\), but must be \(pixels,\)",
        ),
        ({"predictions": []}, "predictions hold no candidate"),
        (
            {"predictions": ROWS + np.uint8(3)},
            "predictions of candidate 0: class id 3 at pixel 0, but num_classes is 3",
        ),
        ({"target": TARGET.astype(int)}, "target is int64, but must be uint8"),
        ({"target": TARGET + np.uint8(7)}, r"target: class id 7 at pixel 0.*0 to 2, or ignore_index \(255\)"),
        ({"target": TARGET + np.uint8(255), "ignore_index": 0}, r"class id 255 at pixel 0.*or ignore_index \(0\)"),
        ({"num_classes": 0}, "num_classes is 0"),
        ({"max_members": 0}, "max_members is 0, but must be at least 1"),
        ({"max_members": 2.5}, "max_members is 2.5, but must be a whole number"),
        ({"ignore_index": -1}, "ignore_index is -1, but must be from 0 to 255"),
        ({"image_ids": [1, 2]}, r"image_ids have shape \(2,\), but must be \(4,\)"),
        ({"image_ids": [0.5] * 4}, "image_ids are float64, but must be integers or strings"),
        ({"image_ids": [1] * 4, "seed": -1}, "seed is -1, but must be at least 0"),
    ],
)
def test_wrong_arguments_are_refused(changes, message):
    arguments = {"predictions": ROWS, "target": TARGET, "num_classes": 3} | changes
    with pytest.raises(ValueError, match=message):
        select_ensemble(**arguments)


def test_importing_the_package_loads_neither_torch_nor_ray_nor_mlflow():
    script = "import sys, ensembling; print([m for m in ('torch', 'ray', 'mlflow', 'trainables') if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
