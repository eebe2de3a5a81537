"""The cross-fit: its folds, and who votes on which of them."""

import numpy as np
import pytest

from ensembling import select_ensemble
from ensembling.selection.crossfit import fold_of_pixels
from tests.ensembling.recounted import naive
from tests.ensembling.recounted.cases import random_case

BATCHES, BATCH_CASES = 5, 200


@pytest.mark.parametrize("batch", range(BATCHES))
def test_crossfit_equals_the_slow_reference(batch):
    for seed in range(batch * BATCH_CASES, (batch + 1) * BATCH_CASES):
        case = random_case(10_000 + seed)
        arguments = {"max_members": case.max_members, "image_ids": case.image_ids, "seed": case.seed}
        arguments["ignore_index"] = case.ignore_index
        expected = naive.crossfit_miou(case.predictions, case.target, case.num_classes, **arguments)
        estimate = select_ensemble(case.predictions, case.target, case.num_classes, **arguments).crossfit_miou
        np.testing.assert_allclose(estimate, np.nan if expected is None else float(expected), rtol=0, atol=1e-13)


def test_crossfit_changes_nothing_but_itself():
    for seed in range(50):
        case = random_case(seed)
        with_images = select_ensemble(case.predictions, case.target, 5, image_ids=case.image_ids, ignore_index=255)
        without = select_ensemble(case.predictions, case.target, 5, ignore_index=255)
        assert np.isnan(without.crossfit_miou)
        for field in set(vars(without)) - {"crossfit_miou", "crossfit"}:
            np.testing.assert_equal(getattr(with_images, field), getattr(without, field))


def test_one_image_has_no_crossfit():
    case = random_case(3, candidates=3, pixels=8)
    selection = select_ensemble(case.predictions, case.target, 5, image_ids=["a"] * 8)
    assert np.isnan(selection.crossfit_miou)
    assert selection.crossfit.members == ()


def test_each_fold_is_voted_on_by_who_was_chosen_on_the_others():
    for seed in range(50):
        case = random_case(20_000 + seed)
        problem = {"max_members": case.max_members, "ignore_index": case.ignore_index}
        selection = select_ensemble(
            case.predictions, case.target, case.num_classes, image_ids=case.image_ids, seed=case.seed, **problem
        )
        folds = naive.folds_of_images(case.image_ids, case.seed)
        fold_of_pixel = np.array([folds[image] for image in case.image_ids.tolist()], int)
        for fold, (members, ranking) in enumerate(zip(selection.crossfit.members, selection.crossfit.rankings)):
            others = fold_of_pixel != fold
            rows, target = case.predictions[:, others], case.target[others]
            expected_ranking, *_, expected = naive.greedy(
                rows, target, case.num_classes, case.max_members, case.ignore_index
            )
            assert (list(members), list(ranking)) == (expected, expected_ranking)


def test_crossfit_does_not_promise_what_only_the_selection_saw():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 400).astype(np.uint8)
    predictions = rng.integers(0, 2, (40, 400)).astype(np.uint8)
    selection = select_ensemble(predictions, target, 2, image_ids=np.arange(400) // 10)
    # The vote of guesses is right on half of all pixels: IoU 1/3 for either class.
    assert selection.crossfit_miou == pytest.approx(1 / 3, abs=0.04)
    assert selection.miou > 1 / 3 + 0.08


@pytest.mark.parametrize(("images", "folds"), [(1, 1), (2, 2), (4, 4), (5, 5), (6, 5), (13, 5)])
def test_images_are_dealt_out_evenly_to_at_most_five_folds(images, folds):
    fold_of_pixel, num_folds = fold_of_pixels(np.repeat(np.arange(images), 3), seed=0)
    assert num_folds == folds
    fold_of_image = fold_of_pixel.reshape(images, 3)
    assert (fold_of_image == fold_of_image[:, :1]).all()
    sizes = np.bincount(fold_of_image[:, 0], minlength=folds)
    assert sizes.sum() == images
    assert sizes.max() - sizes.min() <= 1


def test_folds_depend_on_ids_and_seed_alone():
    ids = np.array(["b", "a", "d", "c", "e", "g", "f"])

    def folds(order, seed=0):
        return dict(zip(order.tolist(), fold_of_pixels(order, seed)[0].tolist(), strict=True))

    assert folds(ids[::-1]) == folds(ids) == folds(np.sort(ids))
    assert folds(ids) == naive.folds_of_images(ids, 0)
    assert len({tuple(folds(np.sort(ids), seed).values()) for seed in range(10)}) > 5


def test_integer_and_string_ids_of_the_same_order_give_the_same_estimate():
    case = random_case(7, candidates=6, pixels=13)
    numbers = np.arange(13) % 6
    names = np.array(list("uvwxyz"))[numbers]
    by_number = select_ensemble(case.predictions, case.target, 5, image_ids=numbers)
    by_name = select_ensemble(case.predictions, case.target, 5, image_ids=names.tolist())
    assert by_number.crossfit_miou == by_name.crossfit_miou
