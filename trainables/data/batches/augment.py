"""Augmentation policies: named lists of albumentations transforms, drawn anew for each sample from its own seed."""

import os
import random
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from trainables.data.annotations.masks import IGNORE_INDEX
from trainables.errors import UserError

_FILL = (124, 116, 104)  # the mean colour of ImageNet, in 0..255: near zero after normalisation


@cache
def _library() -> ModuleType:
    """Return albumentations, imported on first use (2 s); it asks no server for its newest version."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations
    import cv2

    cv2.setNumThreads(0)
    return albumentations


def _none(image_size: tuple[int, int]) -> list[Any]:
    return []


def _flip(image_size: tuple[int, int]) -> list[Any]:
    return [_library().HorizontalFlip(p=0.5)]


def _light(image_size: tuple[int, int]) -> list[Any]:
    return [
        *_flip(image_size),
        *_scale_and_crop(image_size, 0.75, 1.5),
        _library().RandomBrightnessContrast(0.15, 0.15, p=0.5),
    ]


def _photometric(image_size: tuple[int, int]) -> list[Any]:
    return [*_flip(image_size), *_scale_and_crop(image_size, 0.5, 2.0), *_colours(p=0.5)]


def _strong(image_size: tuple[int, int]) -> list[Any]:
    library = _library()
    return [
        *_flip(image_size),
        library.Rotate(limit=20, border_mode=0, fill=_FILL, fill_mask=IGNORE_INDEX, p=0.5),
        *_scale_and_crop(image_size, 0.5, 2.0),
        *_colours(p=0.8),
        library.OneOf([library.GaussianBlur((3, 5)), library.GaussNoise((0.02, 0.08))], p=0.3),
    ]


def _scale_and_crop(image_size: tuple[int, int], smallest: float, largest: float) -> list[Any]:
    """Return a random zoom. A photo that is then too small is placed at random on a mean-coloured ground.

    The mask of that ground is 255.
    """
    library = _library()
    height, width = image_size
    ground = {"border_mode": 0, "fill": _FILL, "fill_mask": IGNORE_INDEX}
    return [
        library.RandomScale((smallest - 1, largest - 1), p=1.0),
        library.PadIfNeeded(height, width, position="random", **ground),
        library.RandomCrop(height, width),
    ]


def _colours(p: float) -> list[Any]:
    library = _library()
    return [
        library.RandomBrightnessContrast(0.25, 0.25, p=p),
        library.HueSaturationValue(8, 30, 15, p=p),
        library.RandomGamma((75, 130), p=p / 2),
    ]


AUGMENTATIONS: dict[str, Callable[[tuple[int, int]], list[Any]]] = {
    "none": _none,
    "flip": _flip,
    "light": _light,
    "photometric": _photometric,
    "strong": _strong,
    "copy_paste": _light,  # copy_paste.py has pasted objects before, because that needs other photos
}


class Augmentation:
    """An augmentation policy that is applied to photos. It can be pickled.

    It must not be used by several threads at once, because it has its own random generators.
    """

    def __init__(self, policy: str, image_size: tuple[int, int], seed: int) -> None:
        self._arguments = (policy, tuple(image_size), seed)
        transforms = AUGMENTATIONS[policy](self._arguments[1])
        self._compose = _library().Compose(transforms) if transforms else None
        # One pair of generators for all transforms, re-seeded in place: Compose.set_random_seed makes a pair for each
        # transform, which for a long policy takes longer than a flip.
        self._random, self._numpy_random = random.Random(), np.random.Generator(np.random.PCG64(0))
        if self._compose:
            self._compose.set_random_state(self._numpy_random, self._random)

    def __reduce__(self) -> tuple[Any, ...]:
        return build_augmentation, self._arguments

    def __call__(self, image: np.ndarray, mask: np.ndarray, sample_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a new photo uint8 (h, w, 3) and class map uint8 (h, w) of the policy's size, from those of that size.

        The same photo, policy, seed and `sample_seed` give the same result, whatever was augmented before. The class
        map holds its own labels, and 255 outside of the photo. Both arrays are new, contiguous and writable.
        """
        size = self._arguments[1]
        if image.shape[:2] != size or mask.shape != size:
            raise ValueError(f"image {image.shape[:2]} and mask {mask.shape} must have the policy's size, {size}")
        if self._compose is None:
            return np.array(image, order="C"), np.array(mask, order="C")
        self._seed(sample_seed)
        result = self._compose(image=np.asarray(image), mask=np.asarray(mask))
        return tuple(_own(result[key], given) for key, given in (("image", image), ("mask", mask)))

    def _seed(self, sample_seed: int) -> None:
        self._random.seed(self._arguments[2] << 64 | sample_seed)
        draw = self._random.getrandbits
        state = {"state": draw(128), "inc": draw(128) | 1}
        self._numpy_random.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": state,
            "has_uint32": 0,
            "uinteger": 0,
        }


def _own(array: np.ndarray, given: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    return array.copy() if np.may_share_memory(array, given) else array


def build_augmentation(policy: str, image_size: tuple[int, int], seed: int) -> Augmentation:
    """Return the named policy (see AUGMENTATIONS) for photos of `image_size` (h, w).

    Raises UserError for an unknown name.
    """
    if policy not in AUGMENTATIONS:
        raise UserError(f"unknown augmentation {policy!r}: choose one of {', '.join(AUGMENTATIONS)}")
    return Augmentation(policy, image_size, seed)
