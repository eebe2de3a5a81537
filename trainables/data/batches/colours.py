"""Changes to a photo's colours that albumentations has too, but for which it takes about ten times as long."""

import math
from functools import cache
from typing import Any

import albumentations as A
import cv2
import numpy as np

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])  # NTSC, 1953
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
_NOISE_OFFSETS = 1 << 16


class Tint(A.ImageOnlyTransform):
    """Rotate hues by up to `hue` degrees, change saturation by a share, and add up to `value` of 255 to all channels.

    Hue is the angle of the colour in the plane of I and Q of YIQ. Rotating it keeps the luma and is linear, so that all
    three take one matrix, where HueSaturationValue converts each pixel to HSV and back.
    """

    def __init__(self, hue: float, saturation: float, value: float, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.hue, self.saturation, self.value = hue, saturation, value

    def get_params(self) -> dict[str, Any]:
        draw = self.py_random.uniform
        turn = tint(math.radians(draw(-self.hue, self.hue)), 1 + draw(-self.saturation, self.saturation))
        return {"matrix": np.column_stack([turn, np.full(3, draw(-self.value, self.value))])}

    def apply(self, img: np.ndarray, matrix: np.ndarray, **params: Any) -> np.ndarray:
        return cv2.transform(img, matrix)


def tint(angle: float, saturation: float) -> np.ndarray:
    """Return the matrix (3, 3) for RGB that rotates hues by `angle`, radians, and multiplies saturation, in YIQ."""
    along, across = saturation * math.cos(angle), saturation * math.sin(angle)
    return _FROM_YIQ @ np.array([[1, 0, 0], [0, along, -across], [0, across, along]]) @ _TO_YIQ


class Noise(A.ImageOnlyTransform):
    """Add Gaussian noise to each value, with a standard deviation between the limits `deviations`, shares of 255.

    GaussNoise draws new noise for each photo; here each photo starts at another place of noise that is drawn once.
    """

    def __init__(self, deviations: tuple[float, float], p: float = 0.5) -> None:
        super().__init__(p=p)
        self.deviations = deviations

    def get_params(self) -> dict[str, Any]:
        draw = self.py_random
        return {"start": draw.randrange(_NOISE_OFFSETS), "deviation": 255 * draw.uniform(*self.deviations)}

    def apply(self, img: np.ndarray, start: int, deviation: float, **params: Any) -> np.ndarray:
        noise = _noise(img.size)[start : start + img.size].reshape(img.shape)
        return cv2.addWeighted(img.astype(np.float32), 1, noise, deviation, 0, dtype=cv2.CV_8U)


@cache
def _noise(size: int) -> np.ndarray:
    """Return standard normal values float32, `size` and some more, so that each photo can start at another one."""
    return np.random.default_rng(0).standard_normal(size + _NOISE_OFFSETS, dtype=np.float32)
