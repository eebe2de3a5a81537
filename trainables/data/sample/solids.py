"""Painters of the built-in data set's solid things: paper packs, metal, glass, plastic and batteries; all PAINTERS.

Each takes a Canvas and returns a Sprite; the long side of the object lies along the canvas's y axis.
"""

import cv2
import numpy as np

from trainables.data.sample.brush import (
    Array,
    Canvas,
    Rng,
    Sprite,
    any_colour,
    any_word,
    blob,
    creases,
    facets,
    fractal,
    jagged,
    lay,
    noise,
    ridges,
    vivid,
)
from trainables.data.sample.foam import foam_block, foam_box, foam_tray

SILVER = np.array([0.74, 0.75, 0.77], np.float32)


def stripe(across: Array, centre: float, width: float) -> Array:
    """Return a soft line at `centre` of a body of revolution, in 0..1."""
    return np.exp(-(((across - centre) / width) ** 2))


def mirror(rng: Rng, across: Array) -> Array:
    """Return what curved bare metal reflects: bright and dark bands along the body, as factors of its colour."""
    tone = 0.75 + 0.55 * stripe(across, rng.uniform(-0.5, -0.2), 0.13)
    tone += 0.35 * stripe(across, rng.uniform(0.35, 0.6), 0.07)
    tone -= 0.42 * stripe(across, rng.uniform(0.0, 0.2), 0.16) + 0.45 * stripe(np.abs(across), 1.0, 0.14)
    return tone.astype(np.float32)


def artwork(c: Canvas, albedo: Array, mask: Array, w: float, h: float, cy: float = 0.0) -> None:
    """Return a printed design within half sizes w, h: a coloured band, a large spot, a name and small print."""
    rng = c.rng
    lay(albedo, mask * c.rectangle(0, cy - h * 0.62, w, h * rng.uniform(0.15, 0.38)), any_colour(rng, white=0.15))
    lay(albedo, mask * c.ellipse(rng.uniform(-0.3, 0.3) * w, cy + h * 0.12, w * 0.5, h * 0.25), vivid(rng))
    lay(albedo, mask * c.word(any_word(rng), 0, cy - h * 0.6, h * 0.13, w * 0.75), any_colour(rng, white=0.5, dark=0.4))
    lay(albedo, mask * c.print_lines(0, cy + h * 0.7, w * 0.75, h * 0.18, 5), np.array([0.2, 0.2, 0.25]))


def label(c: Canvas, albedo: Array, mask: Array, cy: float, w: float, h: float) -> Array:
    """Return a printed label laid around a body, in place; its mask."""
    area = mask * c.rectangle(0, cy, w, h)
    lay(albedo, area, any_colour(c.rng))
    artwork(c, albedo, area, w, h, cy)
    return area


def milk_carton(c: Canvas) -> Sprite:
    rng = c.rng
    w, d, top = rng.uniform(0.3, 0.4), rng.uniform(0.12, 0.2) * rng.choice([-1, 1]), -0.5
    edge = np.sign(d) * w
    side = c.polygon([(edge, top), (edge + d, top + 0.06), (edge + d, 0.94), (edge, 0.97)])
    gable_side = c.polygon([(edge, top), (edge + d, top + 0.06), (edge * 0.95 + d * 0.3, -0.82)])
    front = c.polygon([(-w, top), (w, top), (w, 0.97), (-w, 0.97)])
    slope = c.polygon([(-w, top), (w, top), (w * 0.95, -0.84), (-w * 0.95, -0.84)])
    fin = c.polygon([(-w * 0.97, -0.83), (w * 0.97, -0.83), (w * 0.97, -0.99), (-w * 0.97, -0.99)])
    base = any_colour(rng, white=0.6)
    albedo = c.filled(base)
    artwork(c, albedo, front, w, 0.7, 0.22)
    lay(albedo, slope * (c.y < top - 0.05) * 0.6, any_colour(rng, white=0.1))
    lay(albedo, fin, base * 0.97)
    lay(albedo, np.maximum(side, gable_side) * (1 - front), base * 0.62)
    albedo *= (1 - 0.13 * slope + 0.04 * fin)[..., None]
    lay(albedo, fin * stripe(c.y, -0.9, 0.01), base * 0.6)
    lay(albedo, slope * (stripe(c.y, top, 0.012) + stripe(c.y, -0.83, 0.012)) * 0.5, base * 0.55)
    if rng.random() < 0.4:
        cap = c.ellipse(0, -0.66, 0.12, 0.12)
        lay(albedo, cap, vivid(rng) * (0.7 + 0.3 * c.ellipse(0, -0.66, 0.08, 0.08))[..., None])
    cover = np.max([front, side, gable_side, slope, fin], axis=0)
    return Sprite(albedo, cover, cover, creases(c, 5, 0.03), gloss=0.12, lift=0.28 * c.half)


def drink_box(c: Canvas) -> Sprite:
    rng = c.rng
    w, d, h = rng.uniform(0.42, 0.52), rng.uniform(0.14, 0.22), 0.78
    front = c.polygon([(-w, -h + d), (w, -h + d), (w, h), (-w, h)])
    lid = c.polygon([(-w, -h + d), (w, -h + d), (w + d, -h), (-w + d, -h)])
    side = c.polygon([(w, -h + d), (w + d, -h), (w + d, h - d), (w, h)])
    straw = c.stroke([(0.1, -h + d * 0.4), (0.16, -0.98), (0.45, -1.0)], 0.05)
    base = any_colour(rng, white=0.4)
    albedo = c.filled(base)
    artwork(c, albedo, front, w, h * 0.8, 0.1)
    lay(albedo, side, base * 0.6)
    lay(albedo, side * c.print_lines(w + d / 2, 0.1, d * 0.4, 0.5, 14) * 0.8, np.array([0.15, 0.15, 0.18]))
    lay(albedo, lid, base * 0.85 + 0.1)
    lay(albedo, lid * c.stroke([(-w + d / 2, -h + d / 2), (w + d / 2, -h + d / 2)], 0.03), base * 0.6)
    lay(albedo, c.ellipse(0.1, -h + d * 0.5, 0.05, 0.03), SILVER)
    lay(albedo, straw, np.where(np.sin((c.x + c.y) * 60) > 0, 0.95, 0.75)[..., None] * np.ones(3, np.float32))
    cover = np.max([front, lid, side, straw], axis=0)
    return Sprite(albedo, cover, cover, creases(c, 4, 0.03), gloss=0.15, lift=0.25 * c.half)


def can(c: Canvas) -> Sprite:
    rng = c.rng
    wide = rng.uniform(0.42, 0.56)
    neck, crushed = wide * 0.78, rng.random() < 0.4
    ys = [-0.97, -0.93, -0.78, 0.84, 0.93, 0.97]
    body, across, height = c.turned(ys, [neck, neck, wide, wide, wide * 0.83, wide * 0.8], 0.012)
    albedo = c.filled(SILVER)
    if rng.random() < 0.75:
        band = body * c.soft(np.minimum(c.y + 0.82, 0.86 - c.y))
        lay(albedo, band, any_colour(rng, white=0.35))
        artwork(c, albedo, band, wide * 0.9, 0.75)
    albedo *= mirror(rng, across)[..., None]
    lid = c.ellipse(0, -0.93, neck, 0.11)
    lay(albedo, lid, SILVER * (0.8 + 0.25 * np.cos(c.radius(0, -0.93, neck, 0.11) * 9))[..., None])
    lay(albedo, c.ellipse(0, -0.91, neck * 0.45, 0.04), SILVER * 0.5)
    lay(albedo, c.ellipse(-0.02, -0.94, neck * 0.25, 0.025), SILVER * 1.2)
    lay(albedo, body * stripe(c.y, 0.95, 0.02), SILVER * mirror(rng, across)[..., None])
    cover = np.maximum(body, lid)
    sprite = Sprite(albedo, cover, cover, height * 0.6, gloss=0.8, shininess=30, lift=wide * 0.8 * c.half)
    if crushed:
        sprite.height = sprite.height + creases(c, 9, 0.16)
        sprite.albedo *= (1 + 0.25 * noise(rng, c.shape, c.half * 0.3))[..., None]
    return sprite


def food_tin(c: Canvas) -> Sprite:
    """Return a tin seen from above: rings, a bright rim, sometimes open and dark inside."""
    rng = c.rng
    squash = rng.uniform(0.8, 1.0)
    r = c.radius(0, 0, 0.95, 0.95 * squash)
    angle = np.arctan2(c.y, c.x)
    cover = c.soft(1 - r)
    swirl = 1 + 0.4 * np.cos(2 * (angle - rng.uniform(0, 6.3))) + 0.2 * np.cos(3 * angle + rng.uniform(0, 6.3))
    ring = np.exp(-(((r - 0.7) / 0.035) ** 2)) + np.exp(-(((r - 0.56) / 0.035) ** 2))
    albedo = SILVER * (0.72 * swirl + 0.1 * ring + 0.05 * np.sin(r * 160))[..., None]
    if rng.random() < 0.5:
        lay(albedo, c.soft((0.82 - r) * 0.9), np.array([0.2, 0.15, 0.1]) * (0.7 + 0.5 * r)[..., None])
    else:
        lay(albedo, c.rectangle(0, -0.35, 0.11, 0.28, 0.1) - c.rectangle(0, -0.25, 0.05, 0.1, 0.05), SILVER * 1.25)
        lay(albedo, c.ellipse(0, -0.55, 0.05, 0.05), SILVER * 0.4)
    lay(albedo, stripe(r, 0.93, 0.05), SILVER * (0.9 + 0.4 * np.cos(angle * 2 + 1))[..., None])
    height = (stripe(r, 0.93, 0.05) * 0.06 + 0.02 * ring) * c.half
    return Sprite(albedo.astype(np.float32), cover, cover, height.astype(np.float32), gloss=0.9, lift=0.3 * c.half)


def foil(c: Canvas) -> Sprite:
    """Return crumpled aluminium foil: many small facets, each a mirror of its own."""
    rng = c.rng
    cover = c.polygon(jagged(rng, blob(rng, 12, 0.2) * 0.92, 3, 0.03))
    height, owner = facets(c, 140, 0.5)
    folds = ridges(rng, c.shape, 0.13 * c.half)
    tone = rng.uniform(0.55, 1.05, 140).astype(np.float32)[owner] * (0.3 + 1.1 * folds**2)
    albedo = SILVER * cv2.GaussianBlur(tone, (0, 0), 0.7)[..., None]
    height = height * 0.4 + folds * 0.12 * c.half
    return Sprite(albedo, cover, cover, height.astype(np.float32), gloss=1.0, shininess=14, lift=0.3 * c.half)


GLASS = ((0.10, 0.32, 0.16), (0.34, 0.19, 0.07), (0.72, 0.80, 0.78), (0.62, 0.76, 0.84), (0.72, 0.80, 0.78))


def glass_body(c: Canvas, ys: list[float], widths: list[float], smooth: float) -> Sprite:
    """Return thick clear or tinted glass: dark edges, the ground bent behind it, hard narrow highlights."""
    rng = c.rng
    tint = np.array(GLASS[rng.integers(len(GLASS))], np.float32)
    mask, across, height = c.turned(ys, widths, smooth)
    edge = np.abs(across) ** 5
    base = stripe(c.y, ys[-1] - 0.03, 0.05)
    albedo = tint * (0.75 - 0.45 * edge - 0.3 * base)[..., None]
    opacity = 0.22 + 0.6 * edge + 0.4 * base + 0.12 * stripe(c.y, ys[-1] - 0.14, 0.02)
    for centre, width, strength in ((-0.55, 0.09, 0.95), (-0.33, 0.03, 0.5), (0.62, 0.05, 0.7)):
        shine = stripe(across, centre, width) * strength * c.soft(np.minimum(c.y - ys[0] - 0.05, ys[-1] - 0.1 - c.y))
        shine *= (0.75 + 0.5 * noise(rng, c.shape, (c.half * 0.5, c.half * 2))).clip(0, 1)
        lay(albedo, shine, np.ones(3))
        opacity = np.maximum(opacity, shine)
    opacity, albedo = opacity.clip(0, 1) * mask, albedo.astype(np.float32)
    return Sprite(albedo, mask, opacity, height * 0.5, 1.0, 60, 14.0, 0.35 * c.half, tuple(tint**0.5))


def bottle(c: Canvas) -> Sprite:
    rng = c.rng
    wide, neck, shoulder = rng.uniform(0.27, 0.36), rng.uniform(0.095, 0.125), rng.uniform(-0.4, -0.1)
    ys = [-0.99, -0.93, -0.92, shoulder - 0.22, shoulder, 0.93, 0.99]
    sprite = glass_body(c, ys, [neck + 0.03, neck + 0.03, neck, neck + 0.02, wide, wide, wide * 0.85], 0.015)
    if rng.random() < 0.45:
        area = label(c, sprite.albedo, sprite.cover, (shoulder + 0.95) / 2, wide, rng.uniform(0.18, 0.3))
        sprite.albedo *= (1 - 0.45 * area * np.abs(c.x / wide) ** 3)[..., None]
        sprite.opacity = np.maximum(sprite.opacity, area * 0.96)
    return sprite


def jar(c: Canvas) -> Sprite:
    wide = c.rng.uniform(0.55, 0.68)
    ys = [-0.9, -0.72, -0.68, -0.5, 0.82, 0.92]
    sprite = glass_body(c, ys, [wide * 0.85, wide * 0.85, wide * 0.78, wide, wide, wide * 0.85], 0.025)
    threads = 0.5 * sprite.cover * c.soft(-0.68 - c.y) * (0.5 + 0.5 * np.cos(c.y * 90))
    lay(sprite.albedo, threads, np.ones(3))
    sprite.opacity = np.maximum(sprite.opacity, threads)
    return sprite


def shards(c: Canvas) -> Sprite:
    """Return a broken bottle: flat sharp pieces with bright fracture edges."""
    rng = c.rng
    tint = np.array(GLASS[rng.integers(len(GLASS))], np.float32)
    cover, rim = np.zeros(c.shape, np.float32), np.zeros(c.shape, np.float32)
    for index in range(rng.integers(3, 6)):
        angle = rng.uniform(0, 6.3)
        centre = 0.5 * np.array([np.cos(angle), np.sin(angle)]) * (index > 0)
        corners = np.sort(rng.uniform(0, 6.3, rng.integers(3, 6)))
        size = rng.uniform(0.25, 0.5)
        piece = centre + size * np.stack([np.cos(corners), np.sin(corners)], axis=1)
        cover = np.maximum(cover, c.polygon(piece))
        rim = np.maximum(rim, c.stroke(np.vstack([piece, piece[:1]]), 0.025))
    rim *= cover
    albedo = tint * (0.8 + 0.3 * noise(rng, c.shape, c.half * 0.3))[..., None]
    lay(albedo, rim, tint * 0.3 + 0.7)
    streak = 0.6 * np.exp(-((((c.x + c.y * rng.uniform(-1, 1)) % 0.5 - 0.25) / 0.035) ** 2)) * cover
    lay(albedo, streak, np.ones(3))
    opacity = np.max([0.35 * cover, 0.9 * rim, streak], axis=0).astype(np.float32)
    return Sprite(albedo, cover, opacity, creases(c, 6, 0.15), 1.0, 60, 8.0, 5.0, tuple(tint**0.5))


def pet_bottle(c: Canvas) -> Sprite:
    """Return a drinks bottle of thin clear film: ribs, a coloured screw cap, a wrapped label, many weak highlights."""
    rng = c.rng
    wide = rng.uniform(0.28, 0.35)
    ys = [-0.99, -0.84, -0.83, -0.76, -0.45, 0.0, 0.1, 0.9, 0.98]
    body, across, height = c.turned(ys, [0.11, 0.11, 0.1, 0.1, wide, wide, wide * 0.92, wide, wide * 0.8], 0.012)
    ribs = 0.5 + 0.5 * np.cos(c.y * rng.uniform(45, 70))
    ribs *= c.soft(np.minimum(c.y + 0.5, 0.92 - c.y))
    tint = np.float32([0.86, 0.92, 0.96]) if rng.random() < 0.75 else vivid(rng) * 0.4 + 0.5
    dent = noise(rng, c.shape, c.half * 0.22)
    albedo = tint * (0.85 + 0.2 * dent - 0.25 * ribs)[..., None]
    opacity = 0.2 + 0.45 * np.abs(across) ** 4 + 0.28 * ribs + 0.15 * np.maximum(dent, 0)
    for centre in (-0.6, -0.2, 0.45):
        shine = (stripe(across + 0.1 * dent, centre, 0.05) * (0.45 + 0.5 * ribs)).astype(np.float32)
        lay(albedo, shine, np.ones(3))
        opacity = np.maximum(opacity, shine)
    if rng.random() < 0.7:
        area = label(c, albedo, body, rng.uniform(-0.2, 0.1), wide, rng.uniform(0.14, 0.24))
        opacity = np.maximum(opacity, area * 0.95)
    cap = body * c.soft(-0.83 - c.y)
    lay(albedo, cap, any_colour(rng, white=0.35) * (0.75 + 0.3 * np.cos(across * 50))[..., None])
    opacity = np.maximum(opacity, cap).clip(0, 1) * body
    height = height * 0.5 + ribs * 0.035 * c.half + creases(c, 6, 0.06)
    return Sprite(albedo, body, opacity, height.astype(np.float32), 0.9, 35, 7.0, 0.3 * c.half, tuple(tint))


def takeaway_cup(c: Canvas) -> Sprite:
    """Return a clear drinks cup on its side: a cone with a domed lid, a straw and a rest of drink."""
    rng = c.rng
    ys = [-0.72, -0.45, -0.44, -0.38, -0.37, 0.95]
    body, across, height = c.turned(ys, [0.22, 0.47, 0.53, 0.53, 0.47, 0.33], 0.008)
    straw = c.stroke([(0.02, -0.4), (rng.uniform(-0.2, 0.2), -1.0)], 0.065)
    albedo = c.filled([0.9, 0.93, 0.95])
    opacity = 0.25 + 0.45 * np.abs(across) ** 4
    drink = c.soft(c.y - rng.uniform(0.2, 0.7) + 0.12 * c.x) * body
    lay(albedo, drink, np.array([0.42, 0.26, 0.14]) if rng.random() < 0.6 else vivid(rng))
    opacity = np.maximum(opacity, drink * 0.8)
    if rng.random() < 0.6:
        ring = stripe(c.radius(0, 0.15, 0.24, 0.24), 1, 0.08)
        logo = body * np.maximum(ring, c.word(any_word(rng), 0, 0.15, 0.07, 0.2))
        lay(albedo, logo, any_colour(rng, white=0.2, dark=0.4))
        opacity = np.maximum(opacity, logo)
    rim = body * c.soft(np.minimum(c.y + 0.46, -0.36 - c.y))
    shines = ((-0.55, 0.06, 0.8), (0.6, 0.04, 0.6), (-0.3, 0.02, 0.5))
    for mask in (rim * 0.7, *(stripe(across, centre, width) * strong for centre, width, strong in shines)):
        lay(albedo, mask, np.ones(3))
        opacity = np.maximum(opacity, mask)
    lay(albedo, straw, any_colour(rng, white=0.4, dark=0.3))
    opacity = np.maximum(opacity.clip(0, 1) * body, straw)
    height = (height * 0.5).astype(np.float32)
    return Sprite(albedo, np.maximum(body, straw), opacity.astype(np.float32), height, 0.9, 35, 6.0, 0.4 * c.half)


def tub(c: Canvas) -> Sprite:
    """Return an opaque moulded food container seen from above: smooth, rimmed, with ribs in its walls."""
    rng = c.rng
    w, h, corner = rng.uniform(0.6, 0.9), 0.92, rng.uniform(0.12, 0.4)
    distance = c.box(0, 0, w, h, corner)
    cover = c.soft(distance)
    colour = any_colour(rng, white=0.45, dark=0.2, brown=0)
    wall = c.soft(np.minimum(distance - 0.07, 0.24 - distance))
    albedo = c.filled(colour)
    ribbing = np.cos((np.arctan2(c.y, c.x)) * 44)
    albedo *= (1 - 0.3 * wall * (0.7 + 0.3 * ribbing) - 0.12 * c.soft(distance - 0.24))[..., None]
    if rng.random() < 0.5:
        stain = (fractal(rng, c.shape, c.half * 0.6) > 0.15) * c.soft(distance - 0.26) * 0.6
        lay(albedo, stain, np.array([0.55, 0.3, 0.12]))
    profile = np.minimum(np.abs(distance - 0.05), 0.05) * -1 - 1.4 * np.clip(distance - 0.07, 0, 0.17)
    height = (profile * 0.8 * c.half + 0.4 * wall * ribbing).astype(np.float32)
    return Sprite(albedo, cover, cover, height, gloss=0.55, shininess=40, lift=0.22 * c.half)


def detergent(c: Canvas) -> Sprite:
    """Return a blow-moulded bottle with a grip, a cap and a big label: glossy, opaque."""
    rng = c.rng
    upper, lower = [(-0.16, -0.72), (0.16, -0.72), (0.44, -0.42)], [(0.47, 0.85), (0.4, 0.97), (-0.4, 0.97)]
    body = c.polygon([*upper, *lower, (-0.47, 0.85), (-0.42, -0.3)])
    cap = c.rectangle(0, -0.84, 0.15, 0.14, 0.03)
    colour = any_colour(rng, white=0.4, dark=0.05, brown=0)
    across = np.clip(c.x / 0.47, -1, 1)
    albedo = c.filled(colour) * (1.05 - 0.35 * np.abs(across) ** 3)[..., None].astype(np.float32)
    label(c, albedo, body * c.rectangle(0, 0.38, 0.36, 0.42, 0.08), 0.38, 0.36, 0.42)
    grip = c.rectangle(0.2, -0.3, 0.1, 0.17, 0.1)
    lay(albedo, grip * 0.75, colour * 0.3)
    lay(albedo, cap, vivid(rng) * (0.8 + 0.25 * np.cos(c.x * 110))[..., None])
    lay(albedo, body * stripe(across, -0.72, 0.06) * 0.7, np.ones(3))
    cover = np.maximum(body, cap)
    height = np.sqrt(1.05 - across**2) * 0.3 * c.half
    return Sprite(albedo, cover, cover, height.astype(np.float32), 0.6, 40, lift=0.3 * c.half)


def round_cell(c: Canvas) -> Sprite:
    """Return a dry cell: a two-tone sleeve, a steel ring, a nub at the positive end, small print along the side."""
    rng = c.rng
    wide = rng.uniform(0.24, 0.33)
    ys = [-0.98, -0.9, -0.89, 0.96, 0.98]
    body, across, height = c.turned(ys, [wide * 0.35, wide * 0.35, wide, wide, wide * 0.9], 0.003)
    split = rng.uniform(-0.55, -0.2)
    albedo = c.filled(any_colour(rng, white=0.2, dark=0.45))
    lay(albedo, c.soft(split - c.y), any_colour(rng, white=0.15, dark=0.05, brown=0.5))
    lay(albedo, stripe(c.y, split, 0.02), SILVER)
    lay(albedo, c.word(any_word(rng), 0, 0.2, 0.12, wide * 0.7), np.array([0.95, 0.93, 0.85]))
    lay(albedo, c.word("+", 0, split - 0.2, 0.12, 0.12), np.array([0.95, 0.95, 0.95]))
    lay(albedo, c.print_lines(0, 0.65, wide * 0.7, 0.18, 5) * 0.8, np.array([0.85, 0.85, 0.8]))
    steel = np.maximum(c.soft(-0.84 - c.y), c.soft(c.y - 0.93))
    lay(albedo, steel, SILVER)
    albedo *= mirror(rng, across)[..., None] * 0.35 + 0.7 - 0.25 * np.abs(across)[..., None] ** 4
    return Sprite(albedo, body, body, height * 0.6, gloss=0.7, shininess=30, lift=wide * 0.8 * c.half)


PAINTERS = {
    "Paper pack": (milk_carton, drink_box),
    "Metal": (can, can, food_tin, foil),
    "Glass": (bottle, bottle, jar, shards),
    "Plastic": (pet_bottle, pet_bottle, takeaway_cup, tub, detergent),
    "Styrofoam": (foam_block, foam_box, foam_tray),
    "Battery": (round_cell,),
}
