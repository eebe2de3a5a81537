"""Painters of the built-in data set's soft things: paper, plastic bags, clothing and mixed general trash.

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
    grain,
    jagged,
    lay,
    noise,
    ridges,
    vivid,
    warp,
)

INK = np.array([0.16, 0.16, 0.2], np.float32)


def fibre(c: Canvas, albedo: Array) -> Array:
    """Return the faint unevenness of paper pulp."""
    return albedo * (1 + 0.035 * noise(c.rng, c.shape, 3) + 0.02 * grain(c.rng, c.shape))[..., None]


def paper_colour(rng: Rng) -> Array:
    return any_colour(rng, white=0.6, dark=0.02, brown=0.15)


def sheet(c: Canvas) -> Sprite:
    """Return a printed page: lines of text, a heading, sometimes a picture; folded, one corner lifting."""
    rng = c.rng
    w = rng.uniform(0.5, 0.72)
    cover = c.polygon(jagged(rng, [(-w, -0.95), (w, -0.95), (w, 0.95), (-w, 0.95)], 5, 0.006))
    albedo = c.filled(paper_colour(rng))
    ink = any_colour(rng, white=0, dark=0.7)
    lay(albedo, c.word(any_word(rng), -w * 0.2, -0.78, 0.08, w * 0.55), ink)
    if rng.random() < 0.5:
        frame = c.rectangle(rng.uniform(-0.3, 0.3) * w, -0.4, w * 0.5, 0.2)
        lay(albedo, frame, vivid(rng) * (1 + 0.4 * noise(rng, c.shape, 8))[..., None])
        lay(albedo, c.print_lines(0, 0.4, w * 0.8, 0.45, 12) * 0.75, ink)
    else:
        lay(albedo, c.print_lines(0, 0.1, w * 0.8, 0.72, 20) * 0.75, ink)
    bend = rng.uniform(0.1, 0.5) * np.maximum(c.x * rng.choice([-1, 1]) + c.y * rng.choice([-1, 1]) - 0.6, 0) ** 2
    height = creases(c, rng.integers(3, 9), 0.09) + (bend * c.half).astype(np.float32)
    return warp(Sprite(fibre(c, albedo), cover, cover, height, lift=0.06 * c.half + 2), rng, 0.05 * c.half, c.half)


def crumpled(c: Canvas) -> Sprite:
    """Return paper squeezed into a ball: dull straight-edged facets with broken bits of print."""
    rng = c.rng
    cover = c.polygon(jagged(rng, blob(rng, 11, 0.2) * 0.92, 3, 0.03))
    height, owner = facets(c, 45, 0.25)
    tone = rng.uniform(0.84, 1.03, 45).astype(np.float32)[owner]
    albedo = c.filled(paper_colour(rng))
    lines = np.cos(c.y * 60 + rng.uniform(-3, 3, 45).astype(np.float32)[owner] * c.x * 20) > 0.6
    lay(albedo, lines * (noise(rng, c.shape, 5) > -0.1) * (owner % 3 > 0) * 0.5, INK)
    albedo *= tone[..., None]
    height = cv2.GaussianBlur(height * 0.8, (0, 0), 1.5) + creases(c, 22, 0.08)
    return Sprite(fibre(c, albedo), cover, cover, height, lift=0.35 * c.half)


def cardboard(c: Canvas) -> Sprite:
    """Return a torn piece of a carton: brown liner, a fold, packing tape, the corrugation bared at one edge."""
    rng = c.rng
    w = rng.uniform(0.55, 0.85)
    cover = c.polygon(jagged(rng, [(-w, -0.9), (w, -0.95), (w * 0.9, 0.9), (-w, 0.92)], 9, 0.02))
    brown = np.array([0.72, 0.56, 0.38]) * rng.uniform(0.8, 1.12)
    albedo = c.filled(brown)
    flutes = 0.5 + 0.5 * np.cos(c.x * 70)
    bare = c.polygon(jagged(rng, [(-1, 0.62), (1, rng.uniform(0.3, 0.7)), (1, 1.1), (-1, 1.1)], 10, 0.03))
    albedo *= (1 - 0.35 * bare * flutes)[..., None]
    lay(albedo, c.rectangle(rng.uniform(-0.3, 0.3), 0, 0.11, 1) * 0.5 * (1 - bare), np.array([0.85, 0.75, 0.55]))
    lay(albedo, c.word(any_word(rng), 0, -0.4, 0.12, 0.4) * 0.7 * (1 - bare), INK)
    fold = np.abs(c.y - rng.uniform(-0.2, 0.2)) * rng.uniform(0.1, 0.25)
    height = (fold * c.half + bare * (flutes * 1.5 - 2)).astype(np.float32) + creases(c, 3, 0.03)
    return Sprite(fibre(c, albedo), cover, cover, height.astype(np.float32), lift=0.12 * c.half)


def paper_cup(c: Canvas) -> Sprite:
    """Return a coffee cup on its side: a matt cone with a rolled rim and a seam, its dark mouth in view."""
    rng = c.rng
    body, across, height = c.turned([-0.72, 0.93, 0.97], [0.56, 0.38, 0.37], 0.004)
    mouth, bottom = c.ellipse(0, -0.72, 0.56, 0.2), c.ellipse(0, 0.95, 0.37, 0.05)
    albedo = c.filled(any_colour(rng, white=0.6, dark=0.02, brown=0.25))
    band = body * c.soft(np.minimum(c.y + 0.3, 0.6 - c.y))
    lay(albedo, band * (rng.random() < 0.7), any_colour(rng, white=0.1, brown=0.4))
    lay(albedo, body * c.word(any_word(rng), 0, 0.15, 0.13, 0.33), any_colour(rng, white=0.4, dark=0.5))
    albedo *= (1 - 0.4 * np.abs(across) ** 3 - 0.25 * np.exp(-(((across - 0.4) / 0.03) ** 2)))[..., None]
    lay(albedo, mouth, np.array([0.94, 0.93, 0.9]))
    shade = (0.45 + 0.35 * (c.y + 0.92) / 0.4).clip(0.3, 0.85)
    lay(albedo, c.ellipse(0, -0.72, 0.51, 0.165), np.array([0.85, 0.8, 0.72]) * shade[..., None])
    cover = np.max([body, mouth, bottom], axis=0)
    height = (height * 0.6 * (1 - mouth)).astype(np.float32)
    return Sprite(fibre(c, albedo.astype(np.float32)), cover, cover, height, lift=0.4 * c.half)


def film(c: Canvas, colour: Array, folds: Array, depth: float) -> tuple[Array, Array]:
    """Return albedo and height of wrinkled film: bright crests, dull valleys."""
    height = folds * depth * c.half
    albedo = c.filled(colour) * (0.72 + 0.4 * folds)[..., None]
    return albedo.astype(np.float32), height.astype(np.float32)


def film_colour(rng: Rng) -> tuple[Array, float]:
    """Return a film's colour and opacity: milky, black, coloured or clear."""
    kind = rng.random()
    if kind < 0.25:
        return np.array([0.9, 0.92, 0.93], np.float32), rng.uniform(0.3, 0.5)
    return any_colour(rng, white=0.5, dark=0.2, brown=0.05), rng.uniform(0.7, 0.97)


def carrier_bag(c: Canvas) -> Sprite:
    """Return a flattened shopping bag: two handle loops, side gussets, long wrinkles, sometimes a printed name."""
    rng = c.rng
    w = rng.uniform(0.52, 0.66)
    body = jagged(rng, [(-w, -0.3), (w, -0.3), (w * 1.05, 0.92), (-w * 1.05, 0.92)], 7, 0.025)
    cover = c.polygon(body)
    for sign in (-1, 1):
        side = np.array([sign * w, 1])
        loop = np.array([(1, -0.22), (1, -0.9), (0.72, -0.98), (0.42, -0.88), (0.12, -0.22)]) * side
        hole = np.array([(0.8, -0.42), (0.8, -0.8), (0.64, -0.84), (0.55, -0.72), (0.45, -0.4)]) * side
        cover = np.maximum(cover, c.polygon(loop) * (1 - c.polygon(hole)))
    colour, opaque = film_colour(rng)
    folds = ridges(rng, c.shape, (c.half * 0.55, c.half * 0.16))
    albedo, height = film(c, colour, folds, 0.13)
    if rng.random() < 0.5:
        lay(albedo, c.word(any_word(rng), 0, 0.25, 0.13, w * 0.6) * 0.8, any_colour(rng, white=0.2, dark=0.3))
    gusset = np.exp(-(((np.abs(c.x) - w * 0.75) / 0.03) ** 2))
    albedo *= (1 - 0.25 * gusset)[..., None]
    opacity = cover * np.clip(opaque + 0.25 * (1 - folds) + 0.2 * gusset, 0, 1)
    sprite = Sprite(albedo, cover, opacity.astype(np.float32), height, 0.55, 18, 5.0, 0.1 * c.half + 3)
    return warp(sprite, rng, 0.16 * c.half, c.half * 0.8)


def knotted_bag(c: Canvas) -> Sprite:
    """Return a filled rubbish bag: a bulging body whose pleats run into a knot with two ears."""
    rng = c.rng
    knot_x, knot_y = rng.uniform(-0.12, 0.12), -0.62
    outline = blob(rng, 40, 0.1, 5) * [0.8, 0.72] + np.array([0, 0.2])
    ears = np.zeros(c.shape, np.float32)
    for sign in (-1, 1):
        tip_x, tip_y = sign * rng.uniform(0.18, 0.4), rng.uniform(-0.36, -0.2)
        ear = np.array([(0, 0.06), (sign * 0.04, -0.06), (tip_x, tip_y - 0.05), (tip_x + 0.02, tip_y + 0.14)])
        ears = np.maximum(ears, c.polygon(ear + np.array([knot_x, knot_y])))
    neck = c.polygon(np.array([(-0.07, 0), (0.07, 0), (0.3, 0.4), (-0.3, 0.4)]) + np.array([knot_x, knot_y]))
    cover = np.max([c.polygon(outline), neck, ears], axis=0)
    colour, opaque = film_colour(rng)
    dx, dy = c.x - np.float32(knot_x), c.y - np.float32(knot_y)
    reach = np.sqrt(dx**2 + dy**2)
    pleats = polar_ridges(rng, np.arctan2(dy, dx), reach)
    folds = pleats * np.exp(-reach * 0.9) + ridges(rng, c.shape, c.half * 0.28) * (1 - np.exp(-reach * 1.1))
    albedo, height = film(c, colour, folds, 0.16)
    dome = np.sqrt(np.maximum(1.05 - (c.x / 0.85) ** 2 - ((c.y - 0.2) / 0.8) ** 2, 0)) * 0.35 * c.half
    lump = fractal(rng, c.shape, c.half * 0.5, 2)
    if opaque < 0.6:
        lay(albedo, (lump > 0.1) * 0.6 * c.polygon(outline * 0.85), vivid(rng))
        opaque += 0.25
    opacity = (cover * np.clip(opaque + 0.2 * (1 - folds), 0, 1)).astype(np.float32)
    height = (height + dome + lump * 0.08 * c.half).astype(np.float32)
    return Sprite(albedo, cover, opacity, height, 0.6, 16, 4.0, 0.4 * c.half)


def polar_ridges(rng: Rng, angle: Array, reach: Array) -> Array:
    """Return folds that fan out from a point, float32 in 0..1."""
    wave = np.zeros(angle.shape, np.float32)
    for count in rng.integers(9, 34, 5):
        wave += np.abs(np.sin(angle * count / 2 + reach * rng.uniform(-2, 2) + rng.uniform(0, 6.3))).astype(np.float32)
    return wave / 5


def wrapper(c: Canvas) -> Sprite:
    """Return a snack packet: glossy printed film with crimped ends, torn open at one of them."""
    rng = c.rng
    w, top = rng.uniform(0.45, 0.65), rng.uniform(-0.95, -0.75)
    tear = jagged(rng, [(-w, top), (w, -0.95)], 9, 0.04)[:9]
    teeth = np.stack([np.linspace(w, -w, 25), 0.95 + 0.02 * (np.arange(25) % 2)], axis=1)
    cover = c.polygon(np.vstack([tear, [(w, -0.95), (w * 0.93, 0)], teeth, [(-w * 0.93, 0)]]))
    folds = ridges(rng, c.shape, c.half * 0.35)
    albedo, height = film(c, any_colour(rng, white=0.35, brown=0.05), folds, 0.12)
    lay(albedo, c.ellipse(0, 0.15, w * 0.75, 0.4) * 0.9, any_colour(rng, white=0.4) * (0.7 + 0.4 * folds)[..., None])
    lay(albedo, c.word(any_word(rng), 0, -0.4, 0.15, w * 0.75), any_colour(rng, white=0.5, dark=0.2))
    lay(albedo, c.word(any_word(rng), 0, 0.15, 0.1, w * 0.5), vivid(rng))
    crimp = c.soft(c.y - 0.8)
    lay(albedo, crimp * (0.4 + 0.3 * np.cos(c.x * 110)), np.array([0.82, 0.83, 0.85]))
    dome = np.maximum(1 - (c.x / w) ** 2, 0) * np.maximum(1 - c.y**2, 0) * 0.2 * c.half
    sprite = Sprite(albedo, cover, cover, (height + dome).astype(np.float32), 0.9, 16, lift=0.15 * c.half)
    return warp(sprite, rng, 0.1 * c.half, c.half * 0.7)


def cloth(c: Canvas) -> tuple[Array, Array]:
    """Return albedo and height of woven or knitted cloth with deep soft folds; plain, striped or checked."""
    rng = c.rng
    colour, pitch = any_colour(rng, white=0.35, dark=0.15, brown=0.1), max(3.2, 0.028 * c.half)
    px, py = c.x * c.half, c.y * c.half
    albedo = c.filled(colour)
    pattern, period = rng.random(), rng.uniform(14, 26)
    if pattern < 0.65:
        lay(albedo, (np.sin(c.y * period) > 0.3) * 0.8, any_colour(rng, white=0.3))
    if pattern < 0.2:
        lay(albedo, (np.sin(c.x * period) > 0.5) * 0.55, any_colour(rng, white=0.2))
    knit = np.cos(2 * np.pi * px / pitch) * np.cos(2 * np.pi * (py + np.abs(px % pitch - pitch / 2)) / pitch)
    albedo *= (0.88 + 0.16 * knit + 0.04 * grain(rng, c.shape))[..., None]
    folds = fractal(rng, c.shape, c.half * 0.75, 2) * 0.16 + 0.09 * np.sin(
        6 * fractal(rng, c.shape, c.half * 1.2, 2) + c.x * rng.uniform(-5, 5) + c.y * rng.uniform(-5, 5)
    )
    return albedo.astype(np.float32), (folds * c.half + 0.35 * knit).astype(np.float32)


def garment(c: Canvas, outline: Array, seams: list[Array], bend: float) -> Sprite:
    cover = c.polygon(outline)
    albedo, height = cloth(c)
    for seam in seams:
        lay(albedo, c.stroke(seam, 0.016) * 0.55, albedo.mean(axis=(0, 1)) * 0.4)
    sprite = Sprite(albedo, cover, cover, height, lift=0.1 * c.half + 3)
    return warp(sprite, c.rng, bend * c.half, c.half * 0.7)


def shirt(c: Canvas) -> Sprite:
    rng = c.rng
    w, sleeve = rng.uniform(0.42, 0.52), rng.uniform(-0.3, 0.35)
    right = [(0.18, -0.85), (0.45, -0.78), (0.97, sleeve), (0.72, sleeve + 0.2), (w, -0.25), (w, 0.92)]
    outline = np.array([*right, *[(-x, y) for x, y in reversed(right)], (-0.1, -0.72), (0.1, -0.72)])
    arms = [np.array([(s * 0.42, -0.76), (s * w, -0.25)]) for s in (-1, 1)]
    hems = [np.array([(-w, 0.86), (w, 0.86)]), np.array([(-0.22, -0.84), (-0.12, -0.66), (0.12, -0.66), (0.22, -0.84)])]
    return garment(c, outline, arms + hems, 0.11)


def trousers(c: Canvas) -> Sprite:
    spread = c.rng.uniform(0.15, 0.4)
    outline = [(-0.4, -0.93), (0.4, -0.93), (0.5 + spread, 0.9), (0.12 + spread, 0.95), (0.0, -0.25)]
    outline += [(-0.12 - spread, 0.95), (-0.5 - spread, 0.9)]
    waist, fly, pocket = [(-0.4, -0.84), (0.4, -0.84)], [(0, -0.9), (0, -0.25)], [(-0.36, -0.7), (-0.15, -0.6)]
    return garment(c, np.array(outline), [np.array(seam) for seam in (waist, fly, pocket)], 0.11)


def sock(c: Canvas) -> Sprite:
    leg, foot = [(-0.3, -0.95), (0.22, -0.95), (0.2, 0.2), (0.3, 0.42)], [(0.72, 0.55), (0.78, 0.78), (0.6, 0.95)]
    outline = np.array([*leg, *foot, (0, 0.88), (-0.3, 0.6)])
    cuff = [np.array([(-0.3, y), (0.22, y)]) for y in (-0.85, -0.75)]
    heel = [np.array([(-0.3, 0.3), (0.05, 0.4), (0.0, 0.85)]), np.array([(0.5, 0.47), (0.5, 0.93)])]
    return garment(c, outline - [0.2, 0], cuff + heel, 0.1)


def scraps(c: Canvas) -> Sprite:
    """Return a tangle of sweepings: torn bits of many materials, threads, crumbs and dirt."""
    rng = c.rng
    cover = c.polygon(jagged(rng, blob(rng, 14, 0.25) * 0.7, 4, 0.05))
    albedo = c.filled([0.3, 0.26, 0.21]) * (1 + 0.5 * noise(rng, c.shape, 4))[..., None]
    height = fractal(rng, c.shape, 20, 3) * 0.05 * c.half
    for layer in range(26):
        middle, size = rng.normal(0, 0.32, 2).clip(-0.75, 0.75), rng.uniform(0.08, 0.26)
        if layer % 3 == 0:
            swing = middle + np.cumsum(rng.normal(0, 0.12, (7, 2)), axis=0)
            piece = c.stroke(swing.clip(-0.95, 0.95), rng.uniform(0.02, 0.06))
        else:
            piece = c.polygon(middle + size * blob(rng, int(rng.integers(4, 8)), 0.3) * [1, rng.uniform(0.3, 1)])
        albedo *= (1 - 0.4 * np.roll(piece, (2, 2), (0, 1)))[..., None]
        colour = any_colour(rng, white=0.3, dark=0.2, brown=0.2)
        lay(albedo, piece, colour * (1 + 0.15 * noise(rng, c.shape, 5))[..., None])
        height += piece * 0.03 * c.half
        cover = np.maximum(cover, piece)
    return Sprite(albedo.astype(np.float32), cover, cover, height.astype(np.float32), gloss=0.1, lift=0.15 * c.half)


def cigarette(c: Canvas) -> Sprite:
    """Return a butt: cork-coloured filter, a bent rest of white paper, a burnt end."""
    rng = c.rng
    body, across, height = c.turned([-0.97, 0.97], [0.17, 0.17], 0.002)
    albedo = c.filled([0.92, 0.9, 0.86])
    burnt = c.soft(-0.55 + 0.15 * noise(rng, c.shape, 6) - c.y)
    lay(albedo, burnt, np.array([0.14, 0.12, 0.12]) * (1 + 0.8 * grain(rng, c.shape))[..., None])
    cork = np.array([0.78, 0.52, 0.28]) * (1 + 0.18 * noise(rng, c.shape, 3))[..., None]
    lay(albedo, c.soft(c.y - 0.05), cork)
    lay(albedo, np.exp(-(((c.y - 0.07) / 0.02) ** 2)), np.array([0.8, 0.68, 0.35]))
    albedo *= (1 - 0.45 * np.abs(across) ** 3 - 0.2 * (noise(rng, c.shape, c.half * 0.25) > 0.3))[..., None]
    sprite = Sprite(albedo.astype(np.float32), body, body, height * 0.5 + creases(c, 4, 0.05), lift=0.14 * c.half)
    return warp(sprite, rng, 0.09 * c.half, c.half * 0.7)


def banana_peel(c: Canvas) -> Sprite:
    """Return three or four limp flaps spread from a stub, pale inside, bruised outside."""
    rng = c.rng
    cover, ribs = np.zeros(c.shape, np.float32), np.zeros(c.shape, np.float32)
    count = rng.integers(3, 5)
    for angle in np.arange(count) * 2 * np.pi / count + rng.normal(0, 0.25, count):
        along, side = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        steps = np.linspace(0, rng.uniform(0.7, 0.95), 9)[:, None]
        spine = steps * along + rng.normal(0, 0.25) * steps**2 * side
        half = np.float64([0.1, 0.15, 0.19, 0.21, 0.21, 0.19, 0.15, 0.09, 0.03])[:, None] * side
        cover = np.maximum(cover, c.polygon(np.vstack([spine + half, (spine - half)[::-1]])))
        ribs = np.maximum(ribs, c.stroke(spine, 0.02))
    skin = np.array([0.86, 0.72, 0.25]) if rng.random() < 0.5 else np.array([0.9, 0.86, 0.68])
    albedo = c.filled(skin) * (1 + 0.12 * noise(rng, c.shape, 10))[..., None]
    bruise = np.clip(fractal(rng, c.shape, 26) * 2.2 - 0.1, 0, 0.9)
    lay(albedo, bruise, np.array([0.25, 0.16, 0.08]))
    lay(albedo, np.maximum(ribs * 0.5, c.ellipse(0, 0, 0.13, 0.11)), np.array([0.3, 0.22, 0.1]))
    height = (cv2.GaussianBlur(cover, (0, 0), 0.06 * c.half) * 0.2 * c.half).astype(np.float32)
    return Sprite(albedo.astype(np.float32), cover, cover, height, gloss=0.15, lift=0.15 * c.half)


def face_mask(c: Canvas) -> Sprite:
    """Return a disposable mask: three pleats, welded rims, ear loops."""
    rng = c.rng
    w, h = 0.5, 0.62
    cloth_area = c.polygon(jagged(rng, [(-w, -h), (w, -h), (w, h), (-w, h)], 4, 0.01))
    loops = np.zeros(c.shape, np.float32)
    for sign in (-1, 1):
        bow = np.array([(-0.95 * w, h), (-0.7 * w, 0.9), (rng.uniform(-0.2, 0.2), 0.98), (0.7 * w, 0.9), (0.95 * w, h)])
        loops = np.maximum(loops, c.stroke(bow * [1, sign], 0.045))
    albedo = c.filled(any_colour(rng, white=0.5, dark=0.15, brown=0))
    pleat = (c.x + w) / (2 * w) * 4 % 1
    albedo *= (0.8 + 0.22 * pleat)[..., None]
    lay(albedo, 0.3 * (1 - c.rectangle(0, 0, w - 0.05, h - 0.05)), np.array([0.6, 0.62, 0.65]))
    lay(albedo, loops * (1 - cloth_area), np.array([0.93, 0.93, 0.93]))
    albedo *= (1 + 0.03 * grain(rng, c.shape))[..., None]
    cover = np.maximum(cloth_area, loops)
    height = (pleat * 0.05 * c.half).astype(np.float32) + creases(c, 3, 0.08)
    sprite = Sprite(albedo.astype(np.float32), cover, cover, height, lift=0.12 * c.half)
    return warp(sprite, rng, 0.12 * c.half, c.half * 0.7)


def sticks(c: Canvas) -> Sprite:
    """Return used chopsticks or ice-cream sticks, one across another: wood grain, stained tips."""
    rng = c.rng
    cover, shade = np.zeros(c.shape, np.float32), np.ones(c.shape, np.float32)
    width = rng.uniform(0.07, 0.14)
    for lean in (rng.uniform(-0.5, -0.1), rng.uniform(0.1, 0.5)):
        stick = c.stroke([(-lean, -0.9), (lean, 0.9)], width)
        shade *= 1 - 0.4 * np.roll(stick, (3, 3), (0, 1)) * cover
        cover = np.maximum(cover, stick)
    wood = np.array([0.84, 0.7, 0.5]) * rng.uniform(0.85, 1.1)
    albedo = c.filled(wood) * (shade + 0.14 * noise(rng, c.shape, (c.half * 0.6, 3)))[..., None]
    stain = c.soft(c.y - 0.55 + 0.1 * noise(rng, c.shape, 8)) * 0.6
    lay(albedo, stain, any_colour(rng, white=0.1, dark=0.2, brown=0.3))
    height = (cv2.GaussianBlur(cover, (0, 0), 2) * 0.06 * c.half).astype(np.float32)
    return Sprite(albedo.astype(np.float32), cover, cover, height, lift=0.08 * c.half)


PAINTERS = {
    "General trash": (scraps, scraps, cigarette, banana_peel, face_mask, sticks),
    "Paper": (sheet, sheet, crumpled, crumpled, cardboard, paper_cup),
    "Plastic bag": (carrier_bag, knotted_bag, wrapper),
    "Clothing": (shirt, trousers, sock),
}
