"""The polygons of ellipses, which tools state by a centre and two half axes."""

import math

import numpy as np

_MOST = 1e9
_POINTS = 90  # the polygon then has 99.9 % of the ellipse's area


def ellipse(x: float, y: float, across: float, down: float, degrees: float = 0.0) -> list[list[float]]:
    """Return the ellipse around (x, y) with these half axes, turned clockwise around its centre, as COCO polygons.

    Raises ValueError where a number is not finite, or far beyond the size of any photo.
    """
    if not all(abs(number) < _MOST for number in (x, y, across, down, degrees)):
        raise ValueError("a number of it is not finite, or far too large")
    angle, around = math.radians(degrees), np.linspace(0, 2 * math.pi, _POINTS, endpoint=False)
    along, beside = across * np.cos(around), down * np.sin(around)
    columns = x + along * math.cos(angle) - beside * math.sin(angle)
    rows = y + along * math.sin(angle) + beside * math.cos(angle)
    return [np.stack([columns, rows], axis=1).ravel().tolist()]
