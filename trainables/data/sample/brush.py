"""Brushes of the built-in data set: noise, creases, outlines on a canvas, and the Sprite that painters return."""

from dataclasses import dataclass

import cv2
import numpy as np

Array = np.ndarray
Rng = np.random.Generator

SYLLABLES = ("MI", "LO", "RA", "VE", "KO", "SU", "NA", "TE", "PI", "ZA", "BO", "LU", "DA", "FE")


@dataclass
class Sprite:
    """One object seen from above, unlit, on a square of side S pixels.

    albedo float32 (S, S, 3), RGB in display values 0..1, defined outside the outline too.
    cover float32 (S, S), 1 inside the outline; opacity float32 (S, S), below it where the ground shines through.
    height float32 (S, S), pixels above the object's base, from which light is computed.
    gloss is the strength of highlights, shininess their exponent; refraction is in pixels per unit slope.
    lift is the height in pixels that throws the shadow; tint (3,) colours what is seen through the object.
    """

    albedo: Array
    cover: Array
    opacity: Array
    height: Array
    gloss: float = 0.0
    shininess: float = 20.0
    refraction: float = 0.0
    lift: float = 3.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)


class Canvas:
    """A square plane on which an object `length` pixels long lies along y: x and y run from -1 to 1, y downwards.

    Masks are float32 (S, S) in 0..1 with soft edges; sizes are in units of half the length.
    """

    def __init__(self, rng: Rng, length: float, margin: float = 1.12) -> None:
        self.rng = rng
        self.half = length / 2
        self.side = 2 * int(np.ceil(length * margin / 2))
        self.shape = (self.side, self.side)
        axis = (np.arange(self.side, dtype=np.float32) + 0.5 - self.side / 2) / np.float32(self.half)
        self.x, self.y = np.meshgrid(axis, axis)

    def filled(self, colour: Array) -> Array:
        """Return the albedo of a plane of one colour."""
        return np.broadcast_to(np.asarray(colour, np.float32), (*self.shape, 3)).copy()

    def pixels(self, points: Array) -> Array:
        """Return points (n, 2) of the plane in OpenCV's fixed-point pixel coordinates, with 4 fractional bits."""
        return np.round((np.asarray(points) * self.half + self.side / 2 - 0.5) * 16).astype(np.int32)

    def polygon(self, points: Array) -> Array:
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [self.pixels(points)], 255, cv2.LINE_AA, 4)
        return mask.astype(np.float32) / 255

    def stroke(self, points: Array, width: float) -> Array:
        mask = np.zeros(self.shape, np.uint8)
        thickness = max(1, round(width * self.half))
        cv2.polylines(mask, [self.pixels(points)], False, 255, thickness, cv2.LINE_AA, 4)
        return mask.astype(np.float32) / 255

    def soft(self, distance: Array) -> Array:
        """Return a mask of the points whose signed distance (positive inside, units of the plane) is above 0."""
        return np.clip(distance * self.half + 0.5, 0, 1)

    def radius(self, cx: float, cy: float, rx: float, ry: float) -> Array:
        return np.sqrt(((self.x - cx) / rx) ** 2 + ((self.y - cy) / ry) ** 2)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float) -> Array:
        return self.soft((1 - self.radius(cx, cy, rx, ry)) * min(rx, ry))

    def box(self, cx: float, cy: float, w: float, h: float, corner: float = 0.0) -> Array:
        """Return the signed distance to a rectangle of half sizes w, h with rounded corners, positive inside."""
        qx, qy = np.abs(self.x - cx) - w + corner, np.abs(self.y - cy) - h + corner
        outside = np.sqrt(np.maximum(qx, 0) ** 2 + np.maximum(qy, 0) ** 2)
        return corner - outside - np.minimum(np.maximum(qx, qy), 0)

    def rectangle(self, cx: float, cy: float, w: float, h: float, corner: float = 0.0) -> Array:
        return self.soft(self.box(cx, cy, w, h, corner))

    def turned(self, ys: list[float], widths: list[float], smooth: float = 0.02) -> tuple[Array, Array, Array]:
        """Return a body of revolution about the y axis: its outline, the position across it (-1..1) and its height
        in pixels.
        """
        width = np.interp(self.y[:, 0], ys, widths).astype(np.float32)[:, None]
        width = cv2.GaussianBlur(width, (1, 0), sigmaX=0.1, sigmaY=max(0.3, smooth * self.half))
        ends = self.soft(np.minimum(self.y - ys[0], ys[-1] - self.y))
        mask = self.soft(width - np.abs(self.x)) * ends
        across = np.clip(self.x / np.maximum(width, 1e-3), -1, 1)
        return mask, across, width * np.sqrt(1.02 - across**2) * np.float32(self.half)

    def word(self, text: str, cx: float, cy: float, height: float, width: float) -> Array:
        """Return large print: `text` fitted into a box of half sizes width, height."""
        (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 3)
        stencil = np.zeros((h + 12, w + 12), np.uint8)
        cv2.putText(stencil, text, (6, h + 5), cv2.FONT_HERSHEY_DUPLEX, 1.0, 255, 3, cv2.LINE_AA)
        return self.stencil(stencil, cx, cy, width, height)

    def print_lines(self, cx: float, cy: float, w: float, h: float, rows: int) -> Array:
        """Return small print: `rows` lines of words in a box of half sizes w, h."""
        columns = max(8, int(rows * 2.2 * w / h))
        ink = self.rng.random((rows, columns)) > 0.22
        ends = self.rng.integers(columns // 2, columns * 2, rows)
        ink &= np.arange(columns) < ends[:, None]
        page = np.zeros((rows * 5, columns * 3), np.uint8)
        page[1::5] = page[2::5] = page[3::5] = np.repeat(ink, 3, axis=1) * 230
        return self.stencil(page, cx, cy, w, h)

    def stencil(self, image: Array, cx: float, cy: float, w: float, h: float) -> Array:
        """Return a uint8 picture stretched over a box of half sizes w, h, as a mask of the whole plane."""
        sx, sy = 2 * w * self.half / image.shape[1], 2 * h * self.half / image.shape[0]
        left = (cx - w) * self.half + self.side / 2
        top = (cy - h) * self.half + self.side / 2
        small = cv2.GaussianBlur(image, (0, 0), max(0.3, 0.4 / min(sx, sy)))
        matrix = np.array([[sx, 0, left], [0, sy, top]], np.float32)
        return cv2.warpAffine(small, matrix, (self.side, self.side)).astype(np.float32) / 255


def lay(albedo: Array, mask: Array, colour: Array) -> None:
    """Paint `colour`, (3,) or (S, S, 3), over `albedo` where `mask` is set, in place."""
    albedo += mask[..., None] * (np.asarray(colour, np.float32) - albedo)


def any_word(rng: Rng) -> str:
    return "".join(rng.choice(SYLLABLES, rng.integers(2, 4)))


def any_colour(rng: Rng, *, white: float = 0.4, dark: float = 0.1, brown: float = 0.1) -> Array:
    """Return a random colour that objects of every class may have: off-white, dark, cardboard brown or a hue."""
    kind = rng.random()
    if kind < white:
        return (rng.uniform(0.78, 0.96) + rng.normal(0, 0.015, 3)).clip(0, 1).astype(np.float32)
    if kind < white + dark:
        return (rng.uniform(0.1, 0.22) + rng.normal(0, 0.015, 3)).clip(0, 1).astype(np.float32)
    if kind < white + dark + brown:
        return (np.array([0.72, 0.56, 0.38]) * rng.uniform(0.8, 1.1) + rng.normal(0, 0.015, 3)).astype(np.float32)
    return vivid(rng)


def vivid(rng: Rng) -> Array:
    hsv = np.float32([[[rng.uniform(0, 360), rng.uniform(0.25, 0.72), rng.uniform(0.35, 0.85)]]])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0]


def noise(rng: Rng, shape: tuple[int, int], cell: float | tuple[float, float]) -> Array:
    """Return smooth noise float32 (h, w) in about -1..1 that changes over `cell` pixels (down, across)."""
    down, across = cell if isinstance(cell, tuple) else (cell, cell)
    grid = rng.random((int(shape[0] / down) + 3, int(shape[1] / across) + 3), np.float32) * 2 - 1
    return cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def fractal(rng: Rng, shape: tuple[int, int], cell: float, octaves: int = 4) -> Array:
    """Return noise summed over halving cells and amplitudes, float32 (h, w) in about -1..1."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        total += noise(rng, shape, max(1.0, cell / 2**octave)) * 0.5**octave
    return total * 0.6


def grain(rng: Rng, shape: tuple[int, int]) -> Array:
    """Return white noise float32 (h, w) of unit variance."""
    return rng.standard_normal(shape, np.float32)


def creases(canvas: Canvas, count: int, slope: float) -> Array:
    """Return the height in pixels of a sheet folded along `count` random straight lines: flat facets and sharp
    creases.
    """
    rng = canvas.rng
    height = np.zeros(canvas.shape, np.float32)
    for angle, offset, bend in zip(
        rng.uniform(0, np.pi, count), rng.uniform(-0.8, 0.8, count), rng.normal(0, slope, count), strict=True
    ):
        height += np.float32(bend) * np.abs(canvas.x * np.cos(angle) + canvas.y * np.sin(angle) - np.float32(offset))
    return height.astype(np.float32) * np.float32(canvas.half)


def facets(canvas: Canvas, count: int, roughness: float) -> tuple[Array, Array]:
    """Return the height in pixels of a crumpled ball of radius 1, and the number of each of its facets.

    The facets are parts of `count` planes.
    """
    rng = canvas.rng
    radius, angle = np.sqrt(rng.uniform(0, 0.95, count)), rng.uniform(0, 2 * np.pi, count)
    px, py = radius * np.cos(angle), radius * np.sin(angle)
    distance = np.full(canvas.shape, np.inf, np.float32)
    x = canvas.x + 0.07 * noise(rng, canvas.shape, canvas.half * 0.16)
    y = canvas.y + 0.07 * noise(rng, canvas.shape, canvas.half * 0.16)
    owner = np.zeros(canvas.shape, np.int32)
    height = np.zeros(canvas.shape, np.float32)
    for index in range(count):
        dx, dy = x - np.float32(px[index]), y - np.float32(py[index])
        closer = dx * dx + dy * dy < distance
        distance[closer] = (dx * dx + dy * dy)[closer]
        owner[closer] = index
        gx, gy = -px[index] * 0.8 + rng.normal(0, roughness), -py[index] * 0.8 + rng.normal(0, roughness)
        plane = np.sqrt(1.02 - radius[index] ** 2) * 0.7 + gx * dx + gy * dy
        height[closer] = plane[closer]
    return height * np.float32(canvas.half), owner


def beads(rng: Rng, shape: tuple[int, int], cell: float) -> Array:
    """Return domes of expanded foam, float32 (h, w): 1 in the middle of each bead, falling towards its borders."""
    rows, columns = int(shape[0] / cell) + 1, int(shape[1] / cell) + 1
    seeds = np.full(shape, 255, np.uint8)
    ys = (np.arange(rows)[:, None] + rng.uniform(0.1, 0.9, (rows, columns))) * cell
    xs = (np.arange(columns)[None, :] + rng.uniform(0.1, 0.9, (rows, columns))) * cell
    seeds[ys.astype(int).clip(0, shape[0] - 1), xs.astype(int).clip(0, shape[1] - 1)] = 0
    distance = cv2.distanceTransform(seeds, cv2.DIST_L2, 3)
    return 1 - np.minimum(distance / np.float32(cell * 0.8), 1) ** 2


def ridges(rng: Rng, shape: tuple[int, int], cell: float | tuple[float, float]) -> Array:
    """Return sharp-crested folds, float32 (h, w) in about 0..1, as in a wrinkled film."""
    coarse, fine = noise(rng, shape, cell), 0.5
    down, across = cell if isinstance(cell, tuple) else (cell, cell)
    detail = noise(rng, shape, (max(2.0, down * fine), max(2.0, across * fine)))
    return (1 - np.abs(coarse)) * 0.65 + (1 - np.abs(detail)) * 0.35


def blob(rng: Rng, points: int = 40, wobble: float = 0.15, lobes: int = 6) -> Array:
    """Return a closed wavy outline (points, 2) of radius about 1."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radius = np.ones(points)
    for wave in range(2, lobes + 1):
        radius += wobble / wave * 2 * rng.normal() * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    radius = radius.clip(0.55, 1.35) / 1.15
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def jagged(rng: Rng, corners: Array, steps: int, depth: float) -> Array:
    """Return the polygon `corners` (n, 2) with each side broken into `steps` pieces that stray by `depth`."""
    corners = np.asarray(corners, float)
    parts = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = np.linspace(0, 1, steps, endpoint=False)[:, None]
        side = start + along * (end - start)
        side[1:] += rng.normal(0, depth, (steps - 1, 2))
        parts.append(side)
    return np.concatenate(parts)


def warp(sprite: Sprite, rng: Rng, amount: float, cell: float) -> Sprite:
    """Return the sprite bent by smooth noise.

    Points move by up to about `amount` pixels, differently every `cell` pixels.
    """
    shape = sprite.cover.shape
    ys, xs = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    xs += noise(rng, shape, cell) * np.float32(amount)
    ys += noise(rng, shape, cell) * np.float32(amount)
    for name in ("albedo", "cover", "opacity", "height"):
        layer = cv2.remap(getattr(sprite, name), xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        setattr(sprite, name, layer)
    return sprite
