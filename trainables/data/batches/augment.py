"""Augmentation: photos are changed by a policy of albumentations' transforms, drawn from the seed of each sample."""

import os
import random
import threading

import cv2
import numpy as np

from trainables.known_names import check_name

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations would ask a server for its newest version


class Augmentation:
    """An augmentation policy that is applied to photos. It can be pickled, and several threads may use it."""

    def __init__(self, policy: str, image_size: tuple[int, int], seed: int) -> None:
        self._policy, self._size, self._seed = policy, tuple(image_size), seed

    def __call__(self, image: np.ndarray, mask: np.ndarray, sample_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a new photo uint8 (h, w, 3) and class map uint8 (h, w) of the policy's size, from those of that size.

        The same photo, policy, seed and `sample_seed` give the same result, whatever was augmented before. The class
        map holds its own labels, and 255 outside of the photo. Both arrays are new, contiguous and writable.
        """
        if image.shape[:2] != self._size or mask.shape != self._size:
            raise ValueError(f"image {image.shape[:2]} and mask {mask.shape} must have the policy's size, {self._size}")
        if self._policy == "none":  # without it, albumentations need not be imported
            return np.array(image, order="C"), np.array(mask, order="C")
        changed = _pipeline(self._policy)(np.asarray(image), np.asarray(mask), self._seed << 64 | sample_seed)
        return tuple(_own(array, given) for array, given in zip(changed, (image, mask)))


class _Pipeline:
    """A policy's transforms, which draw from one pair of generators.

    Every sample seeds the pair again. Compose.set_random_seed would make a pair for each transform, which takes as long
    as a flip.
    """

    def __init__(self, policy: str) -> None:
        import albumentations

        from trainables.data.batches.policies import AUGMENTATIONS

        cv2.setNumThreads(0)  # each loader process augments on one core
        self._random, self._numpy_random = random.Random(), np.random.Generator(np.random.PCG64(0))
        self._compose = albumentations.Compose(AUGMENTATIONS[policy]())
        self._compose.set_random_state(self._numpy_random, self._random)

    def __call__(self, image: np.ndarray, mask: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        self._random.seed(seed)
        draw = self._random.getrandbits
        state = {"state": draw(128), "inc": draw(128) | 1}
        state = {"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0}
        self._numpy_random.bit_generator.state = state
        result = self._compose(image=image, mask=mask)
        return result["image"], result["mask"]


_pipelines = threading.local()  # transforms keep what they have drawn, so that each thread has its own


def _pipeline(policy: str) -> _Pipeline:
    """Return this thread's pipeline of the policy, which is made once: its photos come with a new Augmentation each."""
    if policy not in vars(_pipelines):
        setattr(_pipelines, policy, _Pipeline(policy))
    return getattr(_pipelines, policy)


def _own(array: np.ndarray, given: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    return array.copy() if np.may_share_memory(array, given) else array


def build_augmentation(policy: str, image_size: tuple[int, int], seed: int) -> Augmentation:
    """Return the policy of that name (see policies.py) for photos of `image_size` (h, w).

    Raises UserError for an unknown name.
    """
    check_name("augmentation", policy)
    return Augmentation(policy, image_size, seed)
