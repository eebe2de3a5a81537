import numpy as np
import pytest

from ensembling import select_ensemble
from ensembling.assessment.assess import assess
from tests.ensembling import naive
from tests.ensembling.cases import random_case


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
