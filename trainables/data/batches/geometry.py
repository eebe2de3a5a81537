"""Zooming and rotating a photo together with its class map: only the pixels that the result shows are computed.

Photos are interpolated bilinearly, class maps by nearest neighbour. Where the photo does not reach, the result has the
mean colour of ImageNet, which is near zero after normalisation, and the class map has 255.
"""

import math

import cv2
import numpy as np

from trainables.data.annotations.masks import IGNORE_INDEX

_GROUND = (124, 116, 104)


def zoomed(
    image: np.ndarray, mask: np.ndarray, factor: float, place: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return a photo uint8 (h, w, 3) and class map uint8 (h, w), enlarged by `factor` and cut to their former size.

    `place`, from 0 to 1 in y and x, says which part is kept: 0 is the upper or left end, 1 the other one. Where the
    factor is below 1, it says where on the ground the smaller photo is placed.
    """
    height, width = mask.shape
    if factor >= 1:
        rows, columns = (max(1, round(length / factor)) for length in (height, width))
        top, left = int(place[0] * (height - rows + 1)), int(place[1] * (width - columns + 1))
        kept = np.s_[top : top + rows, left : left + columns]
        return _resized(image[kept], mask[kept], (width, height))
    rows, columns = (max(1, round(length * factor)) for length in (height, width))
    top, left = int(place[0] * (height - rows + 1)), int(place[1] * (width - columns + 1))
    image, mask = _resized(image, mask, (columns, rows))
    border = (top, height - rows - top, left, width - columns - left, cv2.BORDER_CONSTANT)
    return cv2.copyMakeBorder(image, *border, value=_GROUND), cv2.copyMakeBorder(mask, *border, value=IGNORE_INDEX)


def _resized(image: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return both at `size` (width, height)."""
    # INTER_NEAREST would take the upper left pixel of each cell, and shift the class map against the photo.
    nearest = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), nearest


def turned(
    image: np.ndarray, mask: np.ndarray, degrees: float, factor: float, place: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `zoomed` does, of the photo rotated about its centre by `degrees`, counterclockwise as it is seen."""
    height, width = mask.shape
    angle, centre = math.radians(degrees), np.array([width, height]) / 2
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    offset = np.array([place[1] * width, place[0] * height]) * (factor - 1)  # of the part that is kept, after zooming
    shift = rotation @ ((offset + 0.5) / factor - centre) + centre - 0.5
    to_source = np.column_stack([rotation / factor, shift])  # from a pixel's (x, y) in the result to that in the photo
    how = {"dsize": (width, height), "borderMode": cv2.BORDER_CONSTANT}
    # OpenCV takes half the time to warp four channels that it takes for three.
    padded = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    linear, nearest = (kind | cv2.WARP_INVERSE_MAP for kind in (cv2.INTER_LINEAR, cv2.INTER_NEAREST))
    padded = cv2.warpAffine(padded, to_source, flags=linear, borderValue=(*_GROUND, 0), **how)
    mask = cv2.warpAffine(mask, to_source, flags=nearest, borderValue=IGNORE_INDEX, **how)
    return cv2.cvtColor(padded, cv2.COLOR_RGBA2RGB), mask
