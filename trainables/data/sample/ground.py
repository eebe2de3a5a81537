"""Grounds of the built-in data set: what litter lies on, as unlit albedo and height, with leaves and stains."""

import cv2
import numpy as np

from trainables.data.sample.brush import Array, Rng, fractal, grain, noise

Ground = tuple[Array, Array]
LEAVES = ((0.46, 0.30, 0.14), (0.58, 0.42, 0.16), (0.35, 0.22, 0.12), (0.36, 0.40, 0.16), (0.62, 0.33, 0.14))


def tinted(rng: Rng, tone: Array, spread: float = 0.015) -> Array:
    """Return grey `tone` (h, w) as RGB with a slight cast."""
    cast = (1 + rng.normal(0, spread, 3)).astype(np.float32)
    return tone[..., None].astype(np.float32) * cast


def streaks(rng: Rng, side: int, count: int, steps: int, reach: float) -> Array:
    """Return wandering lines such as cracks, float32 (side, side) in 0..1."""
    canvas = np.zeros((side, side), np.uint8)
    for _ in range(count):
        heading = rng.uniform(0, 6.3) + np.cumsum(rng.normal(0, 0.35, steps))
        stride = np.stack([np.cos(heading), np.sin(heading)], 1) * reach + rng.normal(0, reach / 2, (steps, 2))
        path = rng.uniform(0, side, 2) + np.cumsum(stride, axis=0)
        cv2.polylines(canvas, [np.round(path * 16).astype(np.int32)], False, 255, 1, cv2.LINE_AA, 4)
        cv2.polylines(canvas, [np.round(path[: steps // 2] * 16).astype(np.int32)], False, 255, 2, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255


def concrete(rng: Rng, side: int) -> Ground:
    tone = rng.uniform(0.5, 0.68) + 0.09 * fractal(rng, (side, side), side / 3, 5)
    tone += 0.035 * cv2.GaussianBlur(grain(rng, (side, side)), (0, 0), 0.8)
    crack = streaks(rng, side, int(rng.integers(0, 4)), 40, side / 50)
    pits = (cv2.GaussianBlur(grain(rng, (side, side)), (0, 0), 1.6) > 0.85).astype(np.float32)
    tone = tone * (1 - 0.5 * crack - 0.25 * pits)
    rough = 0.5 * grain(rng, (side, side)) + 0.8 * fractal(rng, (side, side), 10, 3)
    return tinted(rng, tone), rough - 3 * crack - pits


def asphalt(rng: Rng, side: int) -> Ground:
    stones = cv2.GaussianBlur(grain(rng, (side, side)), (0, 0), rng.uniform(0.8, 1.4))
    stones /= stones.std()
    tone = rng.uniform(0.33, 0.48) + 0.05 * stones + 0.05 * fractal(rng, (side, side), side / 3)
    tone += 0.12 * (stones > 1.4)
    crack = streaks(rng, side, int(rng.integers(0, 5)), 40, side / 50)
    albedo = tinted(rng, tone * (1 - 0.6 * crack))
    if rng.random() < 0.25:
        position = rng.uniform(0.1, 0.9) * side
        worn = (fractal(rng, (side, side), 14) > -0.35) * (np.abs(np.arange(side) - position) < 0.05 * side)
        albedo += worn[..., None] * (np.float32([0.82, 0.8, 0.74]) - albedo) * 0.8
    return albedo.astype(np.float32), 0.6 * stones - 4 * crack


def slabs(rng: Rng, side: int, down: float, across: float, shift: float, joint: float) -> tuple[Array, Array]:
    """Return a bond of slabs: for each pixel the slab's random tone (-1..1), and 1 on the joints.

    Rows are staggered by `shift`.
    """
    rows = np.arange(side, dtype=np.float32) / np.float32(down)
    row = np.floor(rows)
    columns = np.arange(side, dtype=np.float32)[None, :] / np.float32(across) + (row * shift)[:, None]
    tones = rng.uniform(-1, 1, (int(side / down) + 2, int(side / across + side / down * shift) + 3)).astype(np.float32)
    tone = tones[row.astype(int)[:, None], np.floor(columns).astype(int)]
    edge_y = np.minimum(rows % 1, 1 - rows % 1)[:, None] * down
    edge_x = np.minimum(columns % 1, 1 - columns % 1) * across
    return tone, np.clip(joint - np.minimum(edge_x, edge_y) + 0.5, 0, 1).astype(np.float32)


def tiles(rng: Rng, side: int) -> Ground:
    size = side * rng.uniform(0.16, 0.4)
    tone, joint = slabs(rng, side, size, size, 0, rng.uniform(1.5, 3))
    base = np.array([[0.72, 0.66, 0.58], [0.62, 0.62, 0.6], [0.66, 0.5, 0.38], [0.78, 0.77, 0.74]])[rng.integers(4)]
    albedo = base * (1 + 0.05 * tone + 0.06 * fractal(rng, (side, side), 40))[..., None]
    albedo = albedo + joint[..., None] * (rng.uniform(0.3, 0.5) - albedo)
    return albedo.astype(np.float32), -3 * joint + 0.4 * fractal(rng, (side, side), 4, 1)


def paving(rng: Rng, side: int) -> Ground:
    down = side * rng.uniform(0.09, 0.16)
    tone, joint = slabs(rng, side, down, down * rng.uniform(1.6, 2.2), 0.5, rng.uniform(1.5, 3))
    base = np.array([[0.55, 0.54, 0.52], [0.55, 0.36, 0.3], [0.5, 0.48, 0.42]])[rng.integers(3)]
    rough = cv2.GaussianBlur(grain(rng, (side, side)), (0, 0), 1.2)
    albedo = base * (1 + 0.1 * tone + 0.14 * rough + 0.1 * fractal(rng, (side, side), side / 3))[..., None]
    albedo = albedo + 0.85 * joint[..., None] * (np.array([0.24, 0.22, 0.18]) - albedo)
    return albedo.astype(np.float32), -3.5 * joint + 1.2 * rough


def planks(rng: Rng, side: int) -> Ground:
    tone, joint = slabs(rng, side, side * rng.uniform(0.13, 0.22), side * 1.3, 0.37, rng.uniform(1.2, 2.2))
    wave = fractal(rng, (side, side), side / 2, 2)
    rows = np.arange(side, dtype=np.float32)[:, None]
    rings = np.sin(rows * 0.22 + 9 * wave + 40 * tone)
    fibres = noise(rng, (side, side), (2.0, side / 5))
    base = np.array([[0.55, 0.4, 0.26], [0.5, 0.46, 0.4], [0.42, 0.28, 0.18]])[rng.integers(3)]
    albedo = base * (1 + 0.13 * tone + 0.07 * rings + 0.13 * fibres)[..., None] * (1 - 0.7 * joint)[..., None]
    return albedo.astype(np.float32), -3 * joint + 0.6 * fibres


def soil(rng: Rng, side: int) -> Ground:
    lumps = fractal(rng, (side, side), side / 12, 5)
    base = np.array([[0.46, 0.35, 0.25], [0.72, 0.62, 0.47], [0.55, 0.47, 0.38]])[rng.integers(3)]
    tone = 1 + 0.16 * lumps + 0.1 * grain(rng, (side, side)) + 0.1 * fractal(rng, (side, side), side / 2, 2)
    albedo, height = (base * tone[..., None]).astype(np.float32), 6 * lumps
    for _ in range(rng.integers(10, 60)):
        centre, size = rng.uniform(0, side, 2).astype(int).tolist(), rng.uniform(0.004, 0.014, 2) * side
        stone = np.float32(rng.uniform(0.3, 0.75)) * (1 + rng.normal(0, 0.03, 3))
        axes = (int(size[0]) + 1, int(size[1]) + 1)
        cv2.ellipse(albedo, centre, axes, rng.uniform(0, 180), 0, 360, stone.tolist(), -1, cv2.LINE_8)
        cv2.ellipse(height, centre, axes, 0, 0, 360, 4.0, -1, cv2.LINE_8)
    return albedo, height


def grass(rng: Rng, side: int) -> Ground:
    dry = rng.uniform(0, 1)
    albedo = np.clip(np.array([0.3, 0.27, 0.16]) * (1 + 0.3 * noise(rng, (side, side), 6))[..., None], 0, 1)
    picture, height = (albedo * 255).astype(np.uint8), np.zeros((side, side), np.uint8)
    count = 2600
    roots, lean = rng.uniform(-0.03, 1.03, (count, 2)) * side, rng.normal(-np.pi / 2, 0.8, count)
    length = rng.uniform(0.025, 0.085, count) * side
    middles = roots + 0.55 * length[:, None] * np.stack([np.cos(lean), np.sin(lean)], 1)
    lean += rng.normal(0, 0.4, count)
    tips = middles + 0.5 * length[:, None] * np.stack([np.cos(lean), np.sin(lean)], 1)
    green, straw = np.array([0.32, 0.46, 0.16]), np.array([0.68, 0.6, 0.36])
    mix = np.clip(rng.normal(dry, 0.25, (count, 1)), 0, 1)
    colours = (green + mix * (straw - green)) * rng.uniform(0.45, 1.15, (count, 1)) * 255
    paths = np.round(np.stack([roots, middles, tips], 1) * 16).astype(np.int32)
    for index, (path, colour) in enumerate(zip(paths, colours.clip(0, 255).tolist(), strict=True)):
        cv2.polylines(picture, [path], False, colour, 2, cv2.LINE_AA, 4)
        cv2.polylines(height, [path], False, 60 + index * 150 // count, 2, cv2.LINE_8, 4)
    return picture.astype(np.float32) / 255, cv2.GaussianBlur(height.astype(np.float32) / 40, (0, 0), 1)


GROUNDS = {
    "concrete": (concrete, 0.2),
    "asphalt": (asphalt, 0.22),
    "tiles": (tiles, 0.12),
    "paving": (paving, 0.14),
    "planks": (planks, 0.08),
    "soil": (soil, 0.12),
    "grass": (grass, 0.12),
}


def leaf(rng: Rng, centre: Array, size: float) -> tuple[Array, Array]:
    """Return the outline (21, 2) and midrib (2, 2) of a fallen leaf, in pixels."""
    along = np.linspace(-1, 1, 11)
    half = (1 - along**2) ** rng.uniform(0.6, 1.2) * rng.uniform(0.25, 0.5)
    half[1:-1] *= 1 + 0.15 * (np.arange(9) % 2) * (rng.random() < 0.5)
    outline = np.concatenate([np.stack([along, half], 1), np.stack([along, -half], 1)[-2::-1]])
    angle = rng.uniform(0, 6.3)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return centre + size * outline @ turn.T, centre + size * np.array([[-1.25, 0], [0.9, 0]]) @ turn.T


def scatter_leaves(rng: Rng, ground: Ground, count: int) -> None:
    """Lay `count` fallen leaves with their shadows on the ground, in place."""
    albedo, height = ground
    side = albedo.shape[0]
    for _ in range(count):
        outline, rib = leaf(rng, rng.uniform(0, side, 2), rng.uniform(0.015, 0.045) * side)
        points = np.round(outline * 16).astype(np.int32)
        colour = np.array(LEAVES[rng.integers(len(LEAVES))]) * rng.uniform(0.7, 1.2)
        cv2.fillPoly(albedo, [points + 40], (0.12, 0.11, 0.1), cv2.LINE_8, 4)
        cv2.fillPoly(albedo, [points], colour.tolist(), cv2.LINE_8, 4)
        cv2.polylines(albedo, [np.round(rib * 16).astype(np.int32)], False, (colour * 0.6).tolist(), 1, cv2.LINE_8, 4)
        cv2.fillPoly(height, [points], 4.0, cv2.LINE_8, 4)


def tilt(rng: Rng, ground: Ground) -> Ground:
    """Return the ground turned and seen in slight perspective, its far side at the top of the picture."""
    side = ground[0].shape[0]
    angle, near = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 0.7)
    far = near * rng.uniform(1.0, 1.35)
    corners = np.float32([[-far, -far], [far, -far], [near, near], [-near, near]]) * side / 2
    turn = np.float32([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = (corners @ turn.T + side / 2).astype(np.float32)
    target = np.float32([[0, 0], [side, 0], [side, side], [0, side]])
    matrix = cv2.getPerspectiveTransform(source, target)
    return tuple(
        cv2.warpPerspective(layer, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        for layer in ground
    )


def draw_ground(rng: Rng, side: int) -> Ground:
    """Return a random ground: albedo float32 (side, side, 3), display values 0..1; height float32 (side, side),
    pixels.
    """
    names = list(GROUNDS)
    name = names[rng.choice(len(names), p=[GROUNDS[each][1] for each in names])]
    albedo, height = GROUNDS[name][0](rng, side)
    ground = (albedo, np.ascontiguousarray(height, np.float32))
    if name != "grass":
        ground = tilt(rng, ground)
    if name in ("soil", "grass") or rng.random() < 0.35:
        scatter_leaves(rng, ground, int(rng.integers(2, 26)))
    dirt = np.clip(fractal(rng, (side, side), side / 4, 4) - 0.15, 0, 0.6) * rng.uniform(0, 0.6)
    return ground[0] * (1 - dirt)[..., None], ground[1]
