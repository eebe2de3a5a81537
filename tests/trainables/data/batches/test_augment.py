"""Augmentation: sizes, labels, and the same result for the same seed. A warning of the library is an error here."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from trainables.data import build_augmentation
from trainables.data.batches.policies import AUGMENTATIONS
from trainables.errors import UserError

pytestmark = pytest.mark.filterwarnings("error")
SIZE = (48, 60)
RANDOM = [name for name in AUGMENTATIONS if name != "none"]


def photo() -> tuple[np.ndarray, np.ndarray]:
    """A read-only photo without the fill colour, whose red channel tells the class: classes 1, 4 and 7, no 255."""
    rows, columns = np.indices(SIZE)
    mask = np.choose((rows // 12 + columns // 20) % 3, (1, 4, 7)).astype(np.uint8)
    image = np.stack([mask * 30, rows, columns], axis=-1).astype(np.uint8)
    image.flags.writeable = mask.flags.writeable = False
    return image, mask


@pytest.mark.parametrize("policy", AUGMENTATIONS)
def test_size_type_and_labels_are_kept(policy):
    augment = build_augmentation(policy, SIZE, 0)
    for seed in range(60):
        image, mask = augment(*photo(), seed)
        assert (image.shape, image.dtype, mask.shape, mask.dtype) == ((*SIZE, 3), np.uint8, SIZE, np.uint8)
        assert image.flags.writeable
        assert mask.flags.writeable
        assert image.flags.c_contiguous
        assert mask.flags.c_contiguous
        assert set(np.unique(mask)) <= {1, 4, 7, 255}


@pytest.mark.parametrize("policy", RANDOM)
def test_a_seed_gives_the_same_whatever_came_before(policy):
    first = build_augmentation(policy, SIZE, 5)
    results = [first(*photo(), seed) for seed in range(12)]
    second = build_augmentation(policy, SIZE, 5)
    for seed in reversed(range(12)):
        for array, expected in zip(second(*photo(), seed), results[seed]):
            np.testing.assert_array_equal(array, expected)
    for array, expected in zip(pickle.loads(pickle.dumps(first))(*photo(), 3), results[3]):
        np.testing.assert_array_equal(array, expected)


def test_threads_can_share_a_policy():
    augment = build_augmentation("strong", SIZE, 5)
    alone = [augment(*photo(), seed)[0].tobytes() for seed in range(200)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda seed: augment(*photo(), seed)[0].tobytes(), range(200)))
    assert together == alone


def test_albumentations_is_imported_when_a_photo_is_first_augmented():
    probe = """
import sys
import numpy as np
from trainables.data import build_augmentation
from trainables.data.batches.training_batches import TrainingBatches
augment = build_augmentation("light", (8, 8), 0)
before = "albumentations" in sys.modules
augment(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), 0)
print(before, "albumentations" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("policy", RANDOM)
def test_other_seeds_give_other_results(policy):
    def images(seed: int) -> list[bytes]:
        augment = build_augmentation(policy, SIZE, seed)
        return [augment(*photo(), sample)[0].tobytes() for sample in range(20)]

    assert len(set(images(0))) >= (2 if policy == "flip" else 19)
    assert images(0) != images(1)


def test_none_leaves_everything_as_it_is():
    image, mask = build_augmentation("none", SIZE, 0)(*photo(), 9)
    np.testing.assert_array_equal(image, photo()[0])
    np.testing.assert_array_equal(mask, photo()[1])


def test_flip_mirrors_photo_and_mask_together_half_of_the_times():
    augment = build_augmentation("flip", SIZE, 0)
    image, mask = photo()
    flipped = 0
    for seed in range(200):
        result = augment(image, mask, seed)
        mirrored = not np.array_equal(result[1], mask)
        step = -1 if mirrored else 1
        np.testing.assert_array_equal(result[0], image[:, ::step])
        np.testing.assert_array_equal(result[1], mask[:, ::step])
        flipped += mirrored
    assert 75 <= flipped <= 125


@pytest.mark.parametrize("policy", ["light", "photometric"])
def test_what_the_photo_does_not_reach_is_255_and_mean_coloured(policy):
    augment = build_augmentation(policy, SIZE, 0)
    shares = []
    for seed in range(100):
        image, mask = augment(*photo(), seed)
        outside = mask == 255
        shares.append(outside.mean())
        if outside.any():
            assert not np.ptp(image[outside], axis=0).any()
    largest = {"light": 1 - 0.75**2, "photometric": 0.75}[policy]
    assert 0.8 * largest < max(shares) <= largest + 0.04
    assert 0.2 < np.mean(np.array(shares) == 0) < 0.9


def test_mask_and_photo_are_moved_alike():
    augment = build_augmentation("light", SIZE, 0)
    agreeing = []
    for seed in range(60):
        image, mask = augment(*photo(), seed)
        inside = mask != 255
        order = [np.median(image[..., 0][inside & (mask == label)]) for label in (1, 4, 7) if (mask == label).any()]
        agreeing.append(order == sorted(order) and len(set(order)) == len(order))
    assert all(agreeing)


def test_strong_also_turns():
    augment = build_augmentation("strong", SIZE, 0)
    corners = [augment(*photo(), seed)[1][0, 0] for seed in range(100)]
    assert corners.count(255) > 10


def test_an_unknown_policy_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="unknown augmentation 'heavy': choose one of none, flip, light"):
        build_augmentation("heavy", SIZE, 0)


def test_a_photo_of_another_size_is_refused():
    image, mask = photo()
    with pytest.raises(ValueError, match=r"image \(24, 60\) .*must have the policy's size, \(48, 60\)"):
        build_augmentation("flip", SIZE, 0)(image[::2], mask, 0)
