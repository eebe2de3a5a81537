"""The assessment of a selection: every figure recounted without the vote table."""

import numpy as np
import pytest

from ensembling import select_ensemble
from ensembling.assessment.assess import assess
from ensembling.selection.crossfit import fold_of_pixels
from tests.ensembling.recounted import naive
from tests.ensembling.recounted.cases import random_case


def assessed(case, **changes):
    arguments = {"image_ids": case.image_ids, "seed": case.seed, "ignore_index": case.ignore_index}
    problem = (case.predictions, case.target, case.num_classes)
    selection = select_ensemble(*problem, max_members=case.max_members, **arguments)
    return selection, assess(selection, *problem, **arguments)


@pytest.mark.parametrize("seed", range(60))
def test_votes_of_all_sizes_equal_the_slow_reference(seed):
    case = random_case(seed, pixels=13)
    selection, assessment = assessed(case)
    ranking, *_ = naive.greedy(case.predictions, case.target, case.num_classes, case.max_members, case.ignore_index)
    for size in range(1, len(ranking) + 1):
        voted = naive.vote_of(ranking[:size], case.predictions, ranking, case.num_classes)
        expected = naive.miou(voted, case.target, case.num_classes, case.ignore_index)
        assert assessment.topk_miou[size - 1] == pytest.approx(float(expected), abs=1e-13)
    assert assessment.miou.value == pytest.approx(selection.miou, abs=1e-13)
    assert assessment.images == len(set(case.image_ids.tolist()))
    assert assessment.gains["best_single"].value == pytest.approx(selection.miou - assessment.topk_miou[0], abs=1e-13)
    top_k = assessment.topk_miou[len(selection.members) - 1]
    assert assessment.gains["top_k"].value == pytest.approx(selection.miou - top_k, abs=1e-13)


@pytest.mark.parametrize("seed", range(60))
def test_crossfit_and_its_gains_equal_the_slow_reference(seed):
    case = random_case(1000 + seed, pixels=13)
    selection, assessment = assessed(case)
    folds = naive.folds_of_images(case.image_ids, case.seed)
    if len(folds) < 2:
        assert assessment.crossfit_miou is assessment.crossfit_gains is assessment.optimism is None
        return
    fold_of_pixel = np.array([folds[image] for image in case.image_ids.tolist()])
    voted = np.zeros((3, 13), np.uint8)
    for fold in set(folds.values()):
        inside, outside = fold_of_pixel != fold, fold_of_pixel == fold
        problem = (case.predictions[:, inside], case.target[inside], case.num_classes)
        ranking, *_, members = naive.greedy(*problem, case.max_members, case.ignore_index)
        for row, chosen in enumerate([members, ranking[:1], ranking[: len(members)]]):
            voted[row, outside] = naive.vote_of(chosen, case.predictions[:, outside], ranking, case.num_classes)
    mious = [float(naive.miou(row, case.target, case.num_classes, case.ignore_index)) for row in voted]
    assert assessment.crossfit_miou.value == pytest.approx(mious[0], abs=1e-13)
    assert assessment.crossfit_miou.value == pytest.approx(selection.crossfit_miou, abs=1e-13)
    assert assessment.optimism == pytest.approx(selection.miou - mious[0], abs=1e-13)
    assert assessment.crossfit_gains["best_single"].value == pytest.approx(mious[0] - mious[1], abs=1e-13)
    assert assessment.crossfit_gains["top_k"].value == pytest.approx(mious[0] - mious[2], abs=1e-13)


@pytest.mark.parametrize(
    ("candidates", "names"),
    [
        (1, ["best_single", "all"]),
        (3, ["best_single", "all"]),
        (4, ["best_single", "top_3", "all"]),
        (8, ["best_single", "top_3", "top_5", "top_7", "all"]),
        (11, ["best_single", "top_3", "top_5", "top_7", "top_10", "all"]),
    ],
)
def test_baselines_have_their_sizes_and_stand_on_the_curve(candidates, names):
    _, assessment = assessed(random_case(1, candidates=candidates, pixels=30))
    assert list(assessment.baselines) == names
    for name, (size, miou) in assessment.baselines.items():
        assert size == {"best_single": 1, "all": candidates}.get(name) or name == f"top_{size}"
        assert miou == assessment.topk_miou[size - 1]


def guesses_and_experts(images, gain, seed=0):
    """Three good candidates with errors of their own where `gain`, else copies; on `images` images of 100 pixels."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, 100 * images).astype(np.uint8)
    wrong = rng.random((3, target.size)) < 0.2
    wrong = wrong if gain else np.repeat(wrong[:1], 3, axis=0)
    predictions = np.where(wrong, (target + 1) % 3, target).astype(np.uint8)
    return predictions, target, np.arange(target.size) // 100


@pytest.mark.parametrize(("gain", "within"), [(True, False), (False, True)])
def test_a_true_gain_is_beyond_its_error_and_none_is_within(gain, within):
    predictions, target, ids = guesses_and_experts(60, gain)
    selection = select_ensemble(predictions, target, 3, image_ids=ids)
    assessment = assess(selection, predictions, target, 3, ids)
    assert assessment.gains["best_single"].within_error is within
    assert assessment.crossfit_gains["best_single"].within_error is within


def test_more_images_make_smaller_errors():
    errors = []
    for images in (10, 160):
        predictions, target, ids = guesses_and_experts(images, gain=True)
        selection = select_ensemble(predictions, target, 3, image_ids=ids)
        errors.append(assess(selection, predictions, target, 3, ids).miou.standard_error)
    assert errors[1] == pytest.approx(errors[0] / 4, rel=0.5)


def films(scenes, frames, seed=0):
    """Three candidates on scenes of equal frames: maps, target, and the scene of each pixel."""
    predictions, target, ids = guesses_and_experts(scenes, gain=True, seed=seed)
    hard = np.random.default_rng(seed).random(scenes) < 0.5
    predictions = np.where(hard[ids] & (np.random.default_rng(1).random(ids.size) < 0.5), (target + 1) % 3, predictions)
    copies = (np.arange(scenes * 100).reshape(scenes, 100)[:, None] + np.zeros((1, frames, 1), int)).reshape(-1)
    return predictions[:, copies].astype(np.uint8), target[copies], np.repeat(np.arange(scenes), 100 * frames)


def test_scenes_are_drawn_whole():
    predictions, target, scene = films(scenes=40, frames=9)
    images = np.arange(target.size) // 100
    errors = []
    for ids in (scene, images):
        selection = select_ensemble(predictions, target, 3, image_ids=ids)
        errors.append(assess(selection, predictions, target, 3, ids).miou.standard_error)
    assert errors[0] == pytest.approx(3 * errors[1], rel=0.1)


def test_scenes_are_held_out_whole():
    folds, number = fold_of_pixels(np.repeat(np.arange(7), 300), seed=3)
    assert number == 5
    assert all(len(set(folds[start : start + 300])) == 1 for start in range(0, 2100, 300))


@pytest.mark.parametrize(("scenes", "one_scene", "given"), [(4, False, False), (5, False, True), (10, True, False)])
def test_few_scenes_or_parts_of_one_give_values_without_intervals(scenes, one_scene, given):
    predictions, target, scene = films(scenes, frames=2)
    selection = select_ensemble(predictions, target, 3, image_ids=scene)
    assessment = assess(selection, predictions, target, 3, scene, one_scene=one_scene)
    assert assessment.crossfit_miou.value == pytest.approx(selection.crossfit_miou)
    for one in (assessment.miou, assessment.crossfit_miou, *assessment.gains.values()):
        assert (one.low is not None) == (one.high is not None) == (one.standard_error is not None) == given


def test_a_gain_by_a_rare_class_alone_is_zero_without_it():
    rng = np.random.default_rng(0)
    target, ids = rng.integers(0, 3, 6000).astype(np.uint8), np.arange(6000) // 100
    target[:400][rng.random(400) < 0.3] = 3
    single = np.where(rng.random(6000) < 0.1, (target + 1) % 3, target)
    single[target == 3] = 0
    expert = np.where((target == 3) & (single == 0), 3, single)
    predictions = np.stack([single, expert]).astype(np.uint8)
    selection = select_ensemble(predictions, target, 4, image_ids=ids, must_include=(1,), max_members=1)
    photos = np.array([60, 60, 60, 4])
    worth = assess(selection, predictions, target, 4, ids, class_photos=photos)
    assert worth.without_rare.left_out == (3,)
    assert worth.class_scenes.tolist() == photos.tolist()
    assert worth.error_shares.sum() == pytest.approx(1)
    expected = naive.miou(np.where(expert == 3, 0, expert), target, 3, 3)
    assert worth.without_rare.miou.value == pytest.approx(float(expected), abs=0.02)


def test_without_a_rare_class_there_is_nothing_to_leave_out():
    predictions, target, ids = guesses_and_experts(20, gain=True)
    selection = select_ensemble(predictions, target, 3, image_ids=ids)
    assert assess(selection, predictions, target, 3, ids).without_rare is None
