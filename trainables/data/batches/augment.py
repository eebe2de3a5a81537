"""Augmentation policies: how photos are varied, drawn anew for each sample from its own seed."""

import random
from dataclasses import dataclass

import cv2
import numpy as np

from trainables.data.batches.colours import Colours, soften
from trainables.data.batches.geometry import turned, zoomed
from trainables.errors import UserError


@dataclass(frozen=True)
class Policy:
    """The changes that a policy makes to a photo. Those to the geometry are made to its class map, too.

    Half of the photos are mirrored if `flips` is set. `zoom` holds the limits of the factor by which all are enlarged;
    half of them are rotated by up to `turn` degrees before. `colours` says how colours change. A share `softened` of
    the photos is blurred or gets noise.
    """

    flips: bool = True
    zoom: tuple[float, float] | None = None
    turn: float = 0.0
    colours: Colours | None = None
    softened: float = 0.0


_LIGHT = Policy(zoom=(0.75, 1.5), colours=Colours(0.5, brightness=0.15, contrast=0.15))
_ALL_COLOURS = {"brightness": 0.25, "contrast": 0.25, "hue": 16, "saturation": 0.3, "value": 15, "gamma": (0.75, 1.3)}

AUGMENTATIONS: dict[str, Policy] = {
    "none": Policy(flips=False),
    "flip": Policy(),
    "light": _LIGHT,
    "photometric": Policy(zoom=(0.5, 2.0), colours=Colours(0.5, **_ALL_COLOURS)),
    "strong": Policy(zoom=(0.5, 2.0), turn=20, colours=Colours(0.8, **_ALL_COLOURS), softened=0.3),
    "copy_paste": _LIGHT,  # copy_paste.py has pasted objects before, because that needs other photos
}


class Augmentation:
    """An augmentation policy that is applied to photos. It can be pickled, and several threads may use it."""

    def __init__(self, policy: str, image_size: tuple[int, int], seed: int) -> None:
        self._policy, self._size, self._seed = AUGMENTATIONS[policy], tuple(image_size), seed
        cv2.setNumThreads(0)  # each loader process augments on one core

    def __call__(self, image: np.ndarray, mask: np.ndarray, sample_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a new photo uint8 (h, w, 3) and class map uint8 (h, w) of the policy's size, from those of that size.

        The same photo, policy, seed and `sample_seed` give the same result, whatever was augmented before. The class
        map holds its own labels, and 255 outside of the photo. Both arrays are new, contiguous and writable.
        """
        if image.shape[:2] != self._size or mask.shape != self._size:
            raise ValueError(f"image {image.shape[:2]} and mask {mask.shape} must have the policy's size, {self._size}")
        policy, rng = self._policy, random.Random(self._seed << 64 | sample_seed)
        image, mask = np.asarray(image), np.asarray(mask)
        if policy.flips and rng.random() < 0.5:
            image, mask = cv2.flip(image, 1), cv2.flip(mask, 1)
        elif not policy.zoom:  # all that follows makes new arrays
            image, mask = image.copy(), mask.copy()
        if policy.zoom:
            factor, place = rng.uniform(*policy.zoom), (rng.random(), rng.random())
            if policy.turn and rng.random() < 0.5:
                image, mask = turned(image, mask, rng.uniform(-policy.turn, policy.turn), factor, place)
            else:
                image, mask = zoomed(image, mask, factor, place)
        if policy.colours:
            image = policy.colours.change(image, rng)
        if policy.softened and rng.random() < policy.softened:
            image = soften(image, rng)
        return image, mask


def build_augmentation(policy: str, image_size: tuple[int, int], seed: int) -> Augmentation:
    """Return the named policy (see AUGMENTATIONS) for photos of `image_size` (h, w).

    Raises UserError for an unknown name.
    """
    if policy not in AUGMENTATIONS:
        raise UserError(f"unknown augmentation {policy!r}: choose one of {', '.join(AUGMENTATIONS)}")
    return Augmentation(policy, image_size, seed)
