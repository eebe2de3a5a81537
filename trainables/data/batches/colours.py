"""Changing the colours of a photo: one matrix for all that is linear, one table for gamma, and blur or noise."""

import math
import random
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])  # NTSC, 1953
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
_NOISE_OFFSETS = 1 << 16


@dataclass(frozen=True)
class Colours:
    """The limits between which colours are changed. Each of the three changes is drawn for itself.

    A share `chance` of the photos changes in contrast, a factor, and `brightness`, a share of white that is added;
    another one in `hue`, degrees, in `saturation`, a factor, and in `value`, 0 to 255, which is added to all channels;
    and half that share by the power `gamma`. Without a hue or gamma there are no such changes. Hue is the angle of the
    colour in the plane of I and Q of YIQ: rotating it keeps the luma, and takes one matrix.
    """

    chance: float
    brightness: float
    contrast: float
    hue: float = 0.0
    saturation: float = 0.0
    value: float = 0.0
    gamma: tuple[float, float] | None = None

    def change(self, image: np.ndarray, rng: random.Random) -> np.ndarray:
        """Return the photo, RGB uint8 (h, w, 3), with colours that are changed as `rng` draws it, or itself."""
        matrix = np.eye(3, 4)
        if rng.random() < self.chance:
            matrix *= 1 + rng.uniform(-self.contrast, self.contrast)
            matrix[:, 3] += 255 * rng.uniform(-self.brightness, self.brightness)
        if self.hue and rng.random() < self.chance:
            angle = math.radians(rng.uniform(-self.hue, self.hue))
            matrix = tint(angle, 1 + rng.uniform(-self.saturation, self.saturation)) @ matrix
            matrix[:, 3] += rng.uniform(-self.value, self.value)
        if not np.array_equal(matrix, np.eye(3, 4)):
            image = cv2.transform(image, matrix)
        if self.gamma and rng.random() < self.chance / 2:
            image = cv2.LUT(image, gamma_table(rng.uniform(*self.gamma)))
        return image


def tint(angle: float, saturation: float) -> np.ndarray:
    """Return the matrix (3, 3) for RGB that rotates hues by `angle`, radians, and multiplies saturation, in YIQ."""
    along, across = saturation * math.cos(angle), saturation * math.sin(angle)
    return _FROM_YIQ @ np.array([[1, 0, 0], [0, along, -across], [0, across, along]]) @ _TO_YIQ


def gamma_table(power: float) -> np.ndarray:
    """Return the values uint8 (256,) that replace 0 to 255: 255 (v / 255) ** power."""
    return np.rint(255 * (np.arange(256) / 255) ** power).astype(np.uint8)


def soften(image: np.ndarray, rng: random.Random) -> np.ndarray:
    """Return the photo uint8 (h, w, 3) with a Gaussian blur, or with Gaussian noise on each value."""
    if rng.random() < 0.5:
        side = rng.choice((3, 5))
        return cv2.GaussianBlur(image, (side, side), rng.uniform(0.5, 3.0))
    start, deviation = rng.randrange(_NOISE_OFFSETS), 255 * rng.uniform(0.02, 0.08)
    noise = _noise(image.size)[start : start + image.size].reshape(image.shape)
    return cv2.addWeighted(image.astype(np.float32), 1, noise, deviation, 0, dtype=cv2.CV_8U)


@cache
def _noise(size: int) -> np.ndarray:
    """Return standard normal values float32, `size` and some more, so that each photo can start at another one.

    To draw new ones for each photo would take ten times as long as all else.
    """
    return np.random.default_rng(0).standard_normal(size + _NOISE_OFFSETS, dtype=np.float32)
