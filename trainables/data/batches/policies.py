"""Augmentation policies: named lists of transforms of albumentations, and of three that extend it for speed.

Importing this module imports albumentations, which is slow: augment.py does so when it first augments a photo.
"""

from collections.abc import Callable

import albumentations as A

from trainables.data.batches.colours import Noise, Tint
from trainables.data.batches.geometry import Zoom


def _none() -> list[A.BasicTransform]:
    return []


def _flip() -> list[A.BasicTransform]:
    return [A.HorizontalFlip(p=0.5)]


def _light() -> list[A.BasicTransform]:
    return [*_flip(), Zoom((0.75, 1.5)), A.RandomBrightnessContrast(0.15, 0.15, p=0.5)]


def _photometric() -> list[A.BasicTransform]:
    return [*_flip(), Zoom((0.5, 2.0)), *_colours(p=0.5)]


def _strong() -> list[A.BasicTransform]:
    softened = A.OneOf([A.GaussianBlur((3, 5)), Noise((0.02, 0.08))], p=0.3)
    return [*_flip(), Zoom((0.5, 2.0), degrees=20, turned=0.5), *_colours(p=0.8), softened]


def _colours(p: float) -> list[A.BasicTransform]:
    return [
        A.RandomBrightnessContrast(0.25, 0.25, p=p),
        Tint(hue=16, saturation=0.3, value=15, p=p),
        A.RandomGamma((75, 130), p=p / 2),
    ]


AUGMENTATIONS: dict[str, Callable[[], list[A.BasicTransform]]] = {
    "none": _none,
    "flip": _flip,
    "light": _light,
    "photometric": _photometric,
    "strong": _strong,
    "copy_paste": _light,  # copy_paste.py has pasted objects before, because that needs other photos
}
