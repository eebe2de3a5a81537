"""One photo of the built-in data set: objects placed on a ground, lit by one sun or lamp, taken by a cheap camera."""

from dataclasses import dataclass

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from trainables.data.sample import sheets, solids
from trainables.data.sample.brush import Array, Canvas, Rng, Sprite, fractal, noise
from trainables.data.sample.ground import draw_ground

PAINTERS = {**sheets.PAINTERS, **solids.PAINTERS}
# The range of an object's length, as shares of the picture's side: small things are seen from near by.
LENGTHS = {
    "General trash": (0.16, 0.42),
    "Paper": (0.18, 0.46),
    "Paper pack": (0.24, 0.46),
    "Metal": (0.18, 0.36),
    "Glass": (0.26, 0.52),
    "Plastic": (0.24, 0.5),
    "Styrofoam": (0.24, 0.5),
    "Plastic bag": (0.26, 0.6),
    "Battery": (0.14, 0.24),
    "Clothing": (0.36, 0.66),
}
SUPERSAMPLING = 1.5


@dataclass(frozen=True)
class Light:
    """Where the light comes from (unit vector, z towards the camera), its ambient share, and how soft shadows are."""

    direction: Array
    ambient: float
    softness: float


@dataclass
class Placed:
    """A sprite in the picture: its class, its layers cut to the window [top:bottom, left:right], its polygons."""

    name: str
    sprite: Sprite
    window: tuple[int, int, int, int]
    polygons: list[list[float]]
    area: float


def random_light(rng: Rng) -> Light:
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(28, 62))
    flat = np.cos(elevation)
    direction = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], np.float32)
    return Light(direction, rng.uniform(0.25, 0.6), rng.uniform(0.04, 0.3))


def turn(rng: Rng, sprite: Sprite) -> Sprite:
    """Return the sprite at a random angle, foreshortened a little as if seen obliquely."""
    side = sprite.cover.shape[0]
    angle, squeeze = rng.uniform(0, 2 * np.pi), rng.uniform(0.78, 1.0)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.diag([1, squeeze]) @ rotation
    size = int(np.ceil(side * 1.3))
    shift = size / 2 - linear @ [side / 2, side / 2]
    matrix = np.hstack([linear, shift[:, None]]).astype(np.float32)
    planes = np.dstack([sprite.cover, sprite.opacity, sprite.height])
    planes = cv2.warpAffine(planes, matrix, (size, size), flags=cv2.INTER_LINEAR)
    albedo = cv2.warpAffine(sprite.albedo, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    inside = np.argwhere(planes[..., 0] > 0.02)
    (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0) + 1
    cut = (slice(top, bottom), slice(left, right))
    sprite.albedo, sprite.cover = albedo[cut], np.ascontiguousarray(planes[..., 0][cut])
    sprite.opacity, sprite.height = planes[..., 1][cut], np.ascontiguousarray(planes[..., 2][cut])
    return sprite


def crop(sprite: Sprite, left: int, top: int, side: int) -> tuple[int, int, int, int]:
    """Cut the layers to the picture, in place, and say which window of it they fill."""
    height, width = sprite.cover.shape
    x0, y0, x1, y1 = max(0, left), max(0, top), min(side, left + width), min(side, top + height)
    cut = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    for name in ("albedo", "cover", "opacity", "height"):
        setattr(sprite, name, np.ascontiguousarray(getattr(sprite, name)[cut]))
    return x0, y0, x1, y1


def outline(cover: Array, left: int, top: int, size: int) -> list[list[float]]:
    """Return the COCO polygons, in pixels of the final picture, of what lies inside the outline; specks are left
    out.
    """
    inside = cv2.copyMakeBorder((cover > 0.5).astype(np.uint8), 0, 1, 0, 1, cv2.BORDER_CONSTANT)
    # Contours run through pixel centres; grown right and down by one, centres fall on the outline's own corners.
    inside = cv2.dilate(inside, np.ones((2, 2), np.uint8), anchor=(1, 1))
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contours = sorted((each for each in contours if len(each) >= 6), key=cv2.contourArea, reverse=True)
    polygons = []
    for index, contour in enumerate(contours):
        if index and cv2.contourArea(contour) < 6 * SUPERSAMPLING**2:
            break
        points = cv2.approxPolyDP(contour, 0.6, True)[:, 0].astype(float)
        points = (points + np.array([left, top])) / SUPERSAMPLING
        if len(points) >= 3:
            polygons.append(points.clip(0, size).round(2).ravel().tolist())
    return polygons


def polygon_area(polygons: list[list[float]], size: int) -> float:
    """Return the area in pixels of the mask that pycocotools decodes from the polygons."""
    if not polygons:
        return 0.0
    return float(coco_mask.area(coco_mask.merge(coco_mask.frPyObjects(polygons, size, size))))


def find_place(rng: Rng, cover: Array, taken: Array) -> tuple[int, int]:
    """Return the top left corner, in pixels, of a place mostly in the picture where little of what lies there is
    hidden.
    """
    side = taken.shape[0] * 8
    small = cv2.resize(cover, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA) > 0.5
    wanted, best, best_cost = max(1, int(small.sum())), (0, 0), np.inf
    tolerated = rng.choice([0.0, 0.3], p=[0.4, 0.6])
    for centre in rng.normal(0.5, 0.25, (14, 2)).clip(0.06, 0.94):
        left, top = (centre * side / 8 - np.array(small.shape)[::-1] / 2).astype(int)
        y0, x0 = max(0, top), max(0, left)
        window = taken[y0 : max(0, top + small.shape[0]), x0 : max(0, left + small.shape[1])]
        part = small[y0 - top : y0 - top + window.shape[0], x0 - left : x0 - left + window.shape[1]]
        outside, hidden = 1 - part.sum() / wanted, (window * part).sum() / wanted
        cost = max(0.0, hidden - tolerated) + 2 * max(0.0, outside - 0.35)
        if cost < best_cost:
            best, best_cost = (left, top), cost
    x0, y0 = max(0, best[0]), max(0, best[1])
    window = taken[y0 : best[1] + small.shape[0], x0 : best[0] + small.shape[1]]
    window |= small[y0 - best[1] : y0 - best[1] + window.shape[0], x0 - best[0] : x0 - best[0] + window.shape[1]]
    return best[0] * 8, best[1] * 8


def place_objects(rng: Rng, names: list[str], size: int) -> list[Placed]:
    """Return one object per name, from the largest in the picture to the smallest, as annotations are painted."""
    side = round(size * SUPERSAMPLING)
    taken = np.zeros((side // 8, side // 8), bool)
    distance = rng.uniform(0.85, 1.2) * (1.2 - 0.04 * min(len(names), 9))
    placed = []
    for name in names:
        variants = PAINTERS[name]
        shortest, longest = LENGTHS[name]
        length = side * distance * shortest * (longest / shortest) ** rng.random()
        sprite = variants[rng.integers(len(variants))](Canvas(rng, max(24.0, length)))
        sprite = turn(rng, sprite)
        left, top = find_place(rng, sprite.cover, taken)
        window = crop(sprite, left, top, side)
        polygons = outline(sprite.cover, window[0], window[1], size)
        placed.append(Placed(name, sprite, window, polygons, polygon_area(polygons, size)))
    return sorted(placed, key=lambda each: each.area, reverse=True)


def lit(light: Light, height: Array) -> tuple[Array, Array, Array]:
    """Return how bright each point of a surface is (1 on level ground), and its slopes along x and y."""
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    lx, ly, lz = light.direction
    facing = (lz - gx * lx - gy * ly) / np.sqrt(1 + gx * gx + gy * gy)
    direct = np.clip(facing / lz, 0, 1.7)
    return np.float32(light.ambient) + np.float32(1 - light.ambient) * direct, gx, gy


def highlights(light: Light, sprite: Sprite, gx: Array, gy: Array) -> Array:
    """Return Blinn-Phong highlights under a camera straight above (Blinn 1977, Models of light reflection)."""
    half = light.direction + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    facing = np.clip((half[2] - gx * half[0] - gy * half[1]) / np.sqrt(1 + gx * gx + gy * gy), 0, 1)
    return np.float32(sprite.gloss * (1.1 - light.ambient)) * facing ** np.float32(sprite.shininess)


def cast_shadow(picture: Array, light: Light, placed: Placed) -> None:
    """Darken what lies beneath and beside an object, in place: a soft cast shadow and a darker rim of contact."""
    sprite, (x0, y0, x1, y1) = placed.sprite, placed.window
    lx, ly, lz = light.direction
    reach = sprite.lift / lz
    pad = int(reach + sprite.lift * light.softness * 2 + 8)
    mask = cv2.copyMakeBorder(0.5 * sprite.cover + 0.5 * sprite.opacity, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    contact = cv2.GaussianBlur(mask, (0, 0), 2 + 0.08 * sprite.lift)
    shadow = mask.copy()
    for share in (0.4, 0.7, 1.0):
        matrix = np.float32([[1, 0, -lx * reach * share], [0, 1, -ly * reach * share]])
        shadow = np.maximum(shadow, cv2.warpAffine(mask, matrix, mask.shape[::-1]))
    shadow = cv2.GaussianBlur(shadow, (0, 0), 1 + sprite.lift * light.softness)
    side = picture.shape[0]
    top, left = max(0, y0 - pad), max(0, x0 - pad)
    bottom, right = min(side, y1 + pad), min(side, x1 + pad)
    cut = (slice(top - y0 + pad, bottom - y0 + pad), slice(left - x0 + pad, right - x0 + pad))
    dark = (1 - np.float32(0.95 * (1 - light.ambient)) * shadow[cut]) * (1 - 0.3 * contact[cut])
    picture[top:bottom, left:right] *= dark[..., None]


def behind(picture: Array, placed: Placed, gx: Array, gy: Array) -> Array:
    """Return what is seen through an object: the ground below it, shifted where its surface slopes, in its tint."""
    x0, y0, x1, y1 = placed.window
    under = picture[y0:y1, x0:x1]
    if placed.sprite.refraction:
        ys, xs = np.mgrid[0 : y1 - y0, 0 : x1 - x0].astype(np.float32)
        bend = np.float32(placed.sprite.refraction)
        xs, ys = xs + bend * gx.clip(-1, 1), ys + bend * gy.clip(-1, 1)
        under = cv2.remap(under, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return under * np.float32(placed.sprite.tint) ** 2


def draw_object(picture: Array, light: Light, placed: Placed) -> None:
    """Lay one object and its shadow onto the picture (linear light), in place."""
    sprite, (x0, y0, x1, y1) = placed.sprite, placed.window
    if x1 <= x0 or y1 <= y0:
        return
    bright, gx, gy = lit(light, cv2.GaussianBlur(sprite.height, (0, 0), 0.8))
    under = behind(picture, placed, gx, gy) if sprite.tint != (1.0, 1.0, 1.0) or sprite.refraction else None
    cast_shadow(picture, light, placed)
    window = picture[y0:y1, x0:x1]
    shine = highlights(light, sprite, gx, gy)
    surface = np.square(sprite.albedo.clip(0, 1.2)) * bright[..., None] + shine[..., None]
    opacity = np.clip(sprite.opacity + 0.5 * shine * sprite.cover * (sprite.refraction > 0), 0, 1)[..., None]
    seen = window if under is None else window * 0.4 + under * 0.6
    through = seen + opacity * (surface - seen)
    window += sprite.cover[..., None] * (through - window)


def passing_shadow(rng: Rng, side: int) -> Array | float:
    """Return large soft shadows of things out of the picture, a wall's edge or foliage, as a factor of the light."""
    kind = rng.random()
    if kind < 0.6:
        return 1.0
    if kind < 0.8:
        angle, offset, width = rng.uniform(0, 2 * np.pi), rng.uniform(-0.35, 0.35), rng.uniform(0.01, 0.08)
        axis = np.linspace(-0.5, 0.5, side, dtype=np.float32)
        across, down = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        edge = axis[None, :] * across + axis[:, None] * down - np.float32(offset)
        return 1 - np.float32(rng.uniform(0.3, 0.6)) * np.clip(edge / np.float32(width) + 0.5, 0, 1)
    foliage = fractal(rng, (side, side), side / rng.uniform(4, 9), 3)
    return 1 - np.float32(rng.uniform(0.25, 0.5)) * np.clip(foliage * 3 + 0.3, 0, 1)


def expose(rng: Rng, picture: Array, size: int) -> Array:
    """Return the photo uint8 RGB of linear light: exposure, white balance, vignette, blur, sensor noise, tone
    curve.
    """
    night = rng.random() < 0.15
    exposure = rng.uniform(0.4, 0.7) if night else rng.lognormal(0.3, 0.2)
    warmth, green = rng.normal(0.16 if night else 0.02, 0.07), rng.normal(0, 0.02)
    balance = np.exp([warmth, green, -warmth]).astype(np.float32) * np.float32(exposure)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    centre = rng.normal(0, 0.15, 2)
    spread = (axis[None, :] - np.float32(centre[0])) ** 2 + (axis[:, None] - np.float32(centre[1])) ** 2
    vignette = 1 / (1 + np.float32(rng.uniform(0.25, 0.6) if night else rng.uniform(0.02, 0.22)) * spread) ** 2
    photo = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    photo = photo * balance * vignette[..., None]
    if rng.random() < 0.6:
        photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.3, 0.75))
    gain = rng.uniform(0.006, 0.02) * (2 if night else 1)
    deviation = np.float32(gain) * np.sqrt(2 * photo + np.float32(0.15**2))
    tone = np.sqrt(np.maximum(photo + deviation * rng.standard_normal(photo.shape, np.float32), 0))
    tone = tone / (1 + np.maximum(tone - 0.8, 0) * 0.7)
    return (np.clip(tone + 0.04 * np.sin(6.2832 * (tone - 0.5)), 0, 1) * 255 + 0.5).astype(np.uint8)


def draw_scene(rng: Rng, names: list[str], size: int) -> tuple[Array, list[Placed]]:
    """Return a photo uint8 (size, size, 3) RGB of one object per class name, and the objects, largest first.

    Objects are drawn in the order of the list, so painting their polygons in that order gives the visible classes.
    """
    side = round(size * SUPERSAMPLING)
    light = random_light(rng)
    albedo, height = draw_ground(rng, side)
    picture = np.square(albedo.clip(0, 1)) * lit(light, height)[0][..., None]
    placed = place_objects(rng, names, size)
    for each in placed:
        draw_object(picture, light, each)
    shade = passing_shadow(rng, side)
    haze = 1 + 0.12 * noise(rng, (side, side), side / 2)
    picture *= (shade * haze)[..., None]
    return expose(rng, picture, size), placed
