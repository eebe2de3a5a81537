"""Pictures of class maps: photo, target and prediction side by side."""

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from ensembling import Predictions
from trainables.data import PackedData

IGNORED = (255, 255, 255)
FIRST = (255, 238, 0)  # the colour of class 0 where it is no background
# Blue and orange come first. Each further colour is the one on a grid that is farthest in CIELAB from black, white and
# all colours before it, as seen by people with usual colour vision and by people without red, green or blue cones,
# whichever of the four tells it apart worst (Machado et al., A Physiologically-based Model for Simulation of Color
# Vision Deficiency, 2009).
COLOURS = np.frombuffer(
    bytes.fromhex(
        "0072B2 E69F00 9900FF EE1155 88FF99 880055 554400 4411AA DDAADD FF44FF 99CC99 996600 DD4488 771177 224422 "
        "00AAAA FF88FF AA22DD AABB55 AA0044 BB22AA AA88CC 669966"
    ),
    np.uint8,
).reshape(-1, 3)
# The colours of what a vote changed; everybody can tell blue and orange apart.
CHANGES = {"wrong to right": (0, 114, 178), "right to wrong": (230, 97, 0), "wrong to wrong": (240, 228, 66)}
TILE = 256  # pixels, the longer side
LEGEND_HEIGHT = 22
OPACITY = 0.6


def palette(num_classes: int, *, background: bool) -> np.ndarray:
    """Return the colours of class ids, uint8 (256, 3): those of one id are the same in every picture.

    Class 0 is black, which is not painted, where it is the background, and yellow otherwise; 255 is white.
    """
    colours = np.zeros((256, 3), dtype=np.uint8)
    for class_id in range(1, num_classes):
        colours[class_id] = COLOURS[class_id - 1] if class_id <= len(COLOURS) else _further_colour(class_id)
    colours[0] = (0, 0, 0) if background else FIRST
    colours[255] = IGNORED
    return colours


def _further_colour(class_id: int) -> np.ndarray:
    """Return a colour for a class beyond those that eyes can surely tell apart.

    Hues are spread by the golden ratio, light and dark in turn.
    """
    value = 1.0 if class_id % 2 else 0.75
    return np.round(255 * np.array(colorsys.hsv_to_rgb(class_id * 0.618034 % 1, 0.85, value)))


def overlay(photo: np.ndarray, class_map: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return the photo, uint8 (H, W, 3), with its class map, uint8 (H, W), painted over it where that is not black."""
    painted = colours[class_map]
    visible = painted.any(axis=-1, keepdims=True)
    mixed = photo * (1 - OPACITY) + painted * OPACITY
    return np.where(visible, mixed, photo).astype(np.uint8)


def holdout_picture(
    packed: PackedData, rows: Sequence[int], predictions: Predictions, class_names: Sequence[str], *, count: int = 4
) -> Image.Image:
    """Return a sheet of holdout photos: photo, target and prediction side by side, and the legend of classes below.

    Args:
        packed: The decoded photos.
        rows: The rows of the holdout.
        predictions: The class maps of the holdout.
        class_names: The names by class id.
        count: How many photos are shown, picked evenly.
    """
    picked = set(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int).tolist())
    colours = palette(len(class_names), background=class_names[0] == "Background")
    strips = []
    for position, (row, (_, class_map)) in enumerate(zip(rows, predictions.maps())):
        if position in picked:
            photo = fitted(packed.images[row], packed.sizes[row], TILE)
            maps = [fitted(np.asarray(one), packed.sizes[row], TILE) for one in (packed.full_mask(row), class_map)]
            strips.append(np.hstack([photo, *(overlay(photo, one, colours) for one in maps)]))
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(strip, ((0, 4), (0, width - strip.shape[1]), (0, 0))) for strip in strips]
    return with_legend(np.vstack(padded), "photo, target, prediction", dict(enumerate(class_names)), colours)


def with_legend(sheet: np.ndarray, caption: str, names: Mapping[int, str], colours: np.ndarray) -> Image.Image:
    """Return a sheet with a caption and a legend below it.

    Args:
        sheet: The sheet, uint8 (H, W, 3).
        caption: The caption.
        names: The names by class id.
        colours: The colours of class ids, uint8 (256, 3).
    """
    columns = max(1, sheet.shape[1] // 140)
    lines = -(-len(names) // columns) + 1
    image = Image.new("RGB", (sheet.shape[1], sheet.shape[0] + lines * LEGEND_HEIGHT), "white")
    image.paste(Image.fromarray(sheet))
    draw = ImageDraw.Draw(image)
    draw.text((6, sheet.shape[0] + 4), caption, fill="black")
    for index, (class_id, name) in enumerate(names.items()):
        line, column = divmod(index, columns)
        left, top = column * 140 + 6, sheet.shape[0] + (line + 1) * LEGEND_HEIGHT
        draw.rectangle((left, top + 3, left + 14, top + 15), fill=tuple(colours[class_id].tolist()), outline="black")
        draw.text((left + 20, top + 3), name[:18], fill="black")
    return image


def changed_pixels(photo: np.ndarray, target: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return a grey photo on which the pixels are painted, in the colours of CHANGES, whose class changed.

    Pixels that are not scored stay as they are.

    Args:
        photo: The photo, uint8 (H, W, 3).
        target: The class map of the labels, uint8 (H, W).
        before: The class map before, uint8 (H, W).
        after: The class map after, uint8 (H, W).
    """
    grey = np.repeat((photo.mean(axis=-1, keepdims=True) * 0.5 + 100).astype(np.uint8), 3, axis=-1)
    changed = (before != after) & (target != 255)
    kinds = {
        "wrong to right": changed & (after == target),
        "right to wrong": changed & (before == target),
        "wrong to wrong": changed & (before != target) & (after != target),
    }
    for kind, pixels in kinds.items():
        grey[pixels] = CHANGES[kind]
    return grey


def fitted(array: np.ndarray, size: tuple[int, int], longest: int) -> np.ndarray:
    """Return a photo uint8 (h, w, 3) or a class map uint8 (h, w) in the shape of `size` (H, W), `longest` pixels long.

    Classes are taken from the nearest pixel, photos are smoothed. The shorter side has one pixel at least.
    """
    height, width = (max(1, round(length * longest / max(size))) for length in size)
    how = Image.Resampling.BILINEAR if array.ndim == 3 else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(array).resize((width, height), how))
