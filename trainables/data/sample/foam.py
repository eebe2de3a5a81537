"""Painters of the built-in data set's styrofoam: blocks, boxes and trays.

Each takes a Canvas and returns a Sprite; the long side of the object lies along the canvas's y axis.
"""

import numpy as np

from trainables.data.sample.brush import (
    Array,
    Canvas,
    Rng,
    Sprite,
    any_colour,
    beads,
    jagged,
    noise,
    vivid,
)


def foam_texture(c: Canvas, colour: Array) -> tuple[Array, Array]:
    """Return albedo and height of expanded polystyrene: beads pressed together, a few lost."""
    rng = c.rng
    dome = beads(rng, c.shape, max(6.0, 0.07 * c.half))
    lost = np.clip(noise(rng, c.shape, max(5.0, 0.06 * c.half)) - 0.78, 0, 0.2)
    albedo = c.filled(colour) * (0.9 + 0.12 * np.sqrt(dome) - 0.8 * lost)[..., None]
    return albedo.astype(np.float32), (dome * max(1.2, 0.014 * c.half) - 4 * lost).astype(np.float32)


def foam_colour(rng: Rng) -> Array:
    if rng.random() < 0.85:
        return any_colour(rng, white=0.88, dark=0.12)
    return vivid(rng) * 0.35 + 0.6


def foam_block(c: Canvas) -> Sprite:
    """Return a broken block of packing foam: straight sides, ragged breaks, a thick shaded flank, moulded recesses."""
    rng = c.rng
    w, d = rng.uniform(0.45, 0.8), rng.uniform(0.1, 0.2)
    corners = [(-w, -0.9), (w, -0.9), (w, 0.35), (w * 0.5, 0.85 - d), (-w, 0.85 - d)]
    face = jagged(rng, corners, 7, 0.018)
    top, flank = c.polygon(face), c.polygon(face + np.array([0, d]))
    for step in (0.25, 0.5, 0.75):
        flank = np.maximum(flank, c.polygon(face + np.array([0, d * step])))
    albedo, height = foam_texture(c, foam_colour(rng))
    albedo *= (1 - 0.4 * flank * (1 - top))[..., None]
    for _ in range(rng.integers(0, 3)):
        px, py, pw, ph = rng.uniform(-0.3, 0.3), rng.uniform(-0.6, 0.1), rng.uniform(0.1, 0.25), rng.uniform(0.1, 0.2)
        pit = c.rectangle(px, py, pw, ph, 0.03) * top
        albedo *= (1 - pit * (0.18 + 0.3 * c.soft(-(c.y - py + ph - 0.1))))[..., None]
        height -= pit * 4
    cover = np.maximum(top, flank)
    return Sprite(albedo, cover, cover, height, lift=0.3 * c.half)


def foam_box(c: Canvas) -> Sprite:
    """Return an ice box from above: thick walls, a sunken floor in their shadow."""
    rng = c.rng
    w, h, wall = rng.uniform(0.62, 0.85), 0.92, rng.uniform(0.14, 0.2)
    distance = c.box(0, 0, w, h, 0.08)
    cover = c.polygon(jagged(rng, [(-w, -h), (w, -h), (w, h), (-w, h)], 6, 0.008)) * c.soft(distance + 0.03)
    albedo, height = foam_texture(c, foam_colour(rng))
    inside = c.soft(distance - wall)
    albedo *= (1 - inside * (0.22 + 0.28 * np.exp(-np.maximum(distance - wall, 0) / 0.1)))[..., None]
    step = np.clip(distance, 0, 0.03) * 0.9 - np.clip(distance - wall, 0, 0.06)
    return Sprite(albedo, cover, cover, height + (step * c.half * 0.9).astype(np.float32), lift=0.35 * c.half)


def foam_tray(c: Canvas) -> Sprite:
    """Return a thin meat tray: sloping lip, quilted floor, sometimes bitten off."""
    rng = c.rng
    w = rng.uniform(0.58, 0.72)
    distance = c.box(0, 0, w, 0.93, 0.2)
    cover = c.soft(distance)
    if rng.random() < 0.5:
        cover = cover * (1 - c.polygon(jagged(rng, [(0.1, 1.1), (1.1, 1.1), (1.1, 0.3), (0.5, 0.5)], 6, 0.04)))
    albedo, height = foam_texture(c, foam_colour(rng))
    quilt = np.cos((c.x + c.y) * 22) * np.cos((c.x - c.y) * 22) * c.soft(distance - 0.22)
    albedo *= (1 - 0.15 * c.soft(distance - 0.2) + 0.05 * quilt)[..., None]
    slope = -np.clip(distance - 0.05, 0, 0.16) * 1.1
    height = height + ((slope + 0.014 * quilt) * c.half).astype(np.float32)
    return Sprite(albedo, cover, cover, height, lift=0.15 * c.half)
