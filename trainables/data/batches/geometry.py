"""Zooming and rotating a photo together with its class map: only the pixels that the result shows are computed.

Photos are interpolated bilinearly, class maps by nearest neighbour. Where the photo does not reach, the result has the
mean colour of ImageNet, which is near zero after normalisation, and the class map has 255.
"""

import math
from typing import Any, NamedTuple

import albumentations as A
import cv2
import numpy as np

from trainables.data.annotations.masks import IGNORE_INDEX


class Sampling(NamedTuple):
    """How pixels are computed: OpenCV's interpolations, and the value of those that the photo does not reach."""

    resize: int
    warp: int
    ground: tuple[int, ...]


PHOTO = Sampling(cv2.INTER_LINEAR, cv2.INTER_LINEAR, (124, 116, 104))
# INTER_NEAREST would take the upper left pixel of each cell when resizing, and shift the class map against the photo.
CLASS_MAP = Sampling(cv2.INTER_NEAREST_EXACT, cv2.INTER_NEAREST, (IGNORE_INDEX,))


class Zoom(A.DualTransform):
    """Enlarge photos by a factor between the limits `scale`, and cut them to their former size at a random place.

    A photo that has become smaller is placed at random on a ground. The share `turned` of the photos is rotated about
    their centre before, by up to `degrees`. RandomScale, PadIfNeeded, RandomCrop and Rotate do the same together, but
    compute all pixels of the enlarged photo.
    """

    def __init__(self, scale: tuple[float, float], degrees: float = 0.0, turned: float = 0.0, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.scale, self.degrees, self.turned = scale, degrees, turned

    def get_params(self) -> dict[str, Any]:
        draw = self.py_random
        angle = draw.uniform(-self.degrees, self.degrees) if draw.random() < self.turned else 0.0
        return {"factor": draw.uniform(*self.scale), "place": (draw.random(), draw.random()), "angle": angle}

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        return self._shown(img, PHOTO, **params)

    def apply_to_mask(self, mask: np.ndarray, **params: Any) -> np.ndarray:
        return self._shown(mask, CLASS_MAP, **params)

    def _shown(
        self, pixels: np.ndarray, how: Sampling, factor: float, place: tuple[float, float], angle: float, **params: Any
    ) -> np.ndarray:
        return turned(pixels, how, factor, place, angle) if angle else zoomed(pixels, how, factor, place)


def zoomed(pixels: np.ndarray, how: Sampling, factor: float, place: tuple[float, float]) -> np.ndarray:
    """Return a photo uint8 (h, w, 3) or class map uint8 (h, w), enlarged by `factor` and cut to its former size.

    `place`, from 0 to 1 in y and x, says which part is kept: 0 is the upper or left end, 1 the other one. Where the
    factor is below 1, it says where on the ground the smaller photo is placed.
    """
    height, width = pixels.shape[:2]
    rows, columns = (max(1, round(length * min(factor, 1 / factor))) for length in (height, width))
    top, left = int(place[0] * (height - rows + 1)), int(place[1] * (width - columns + 1))
    if factor >= 1:
        return cv2.resize(pixels[top : top + rows, left : left + columns], (width, height), interpolation=how.resize)
    border = (top, height - rows - top, left, width - columns - left, cv2.BORDER_CONSTANT)
    return cv2.copyMakeBorder(cv2.resize(pixels, (columns, rows), interpolation=how.resize), *border, value=how.ground)


def turned(pixels: np.ndarray, how: Sampling, factor: float, place: tuple[float, float], degrees: float) -> np.ndarray:
    """Return what `zoomed` does, of the photo rotated about its centre by `degrees`, counterclockwise as it is seen."""
    height, width = pixels.shape[:2]
    angle, centre = math.radians(degrees), np.array([width, height]) / 2
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    offset = np.array([place[1] * width, place[0] * height]) * (factor - 1)  # of the part that is kept, after zooming
    shift = rotation @ ((offset + 0.5) / factor - centre) + centre - 0.5
    to_source = np.column_stack([rotation / factor, shift])  # from a pixel's (x, y) in the result to that in the photo
    # OpenCV takes half the time to warp four channels that it takes for three.
    three = pixels.ndim == 3
    padded = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA) if three else pixels
    kind, border = how.warp | cv2.WARP_INVERSE_MAP, {"borderMode": cv2.BORDER_CONSTANT, "borderValue": how.ground}
    warped = cv2.warpAffine(padded, to_source, (width, height), flags=kind, **border)
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB) if three else warped
