"""Pictures of class maps: photo, target and prediction side by side."""

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from ensembling import Predictions
from trainables.data import PackedData

IGNORED = (255, 255, 255)
TILE = 256  # pixels, the longer side
LEGEND_HEIGHT = 22
OPACITY = 0.6


def palette(num_classes: int, *, background: bool) -> np.ndarray:
    """Colours uint8 (256, 3) by class id, neighbours in id far apart in hue; background black, 255 white."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    first = 1 if background else 0
    for class_id in range(first, num_classes):
        hue = (class_id - first) * 0.618034 % 1  # the golden ratio spreads any number of hues
        value = 1.0 if class_id % 2 else 0.75
        colours[class_id] = np.round(255 * np.array(colorsys.hsv_to_rgb(hue, 0.85, value)))
    colours[255] = IGNORED
    return colours


def overlay(photo: np.ndarray, class_map: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """photo uint8 (H, W, 3) with its class map uint8 (H, W) painted over it; black classes leave the photo as it is."""
    painted = colours[class_map]
    visible = painted.any(axis=-1, keepdims=True)
    mixed = photo * (1 - OPACITY) + painted * OPACITY
    return np.where(visible, mixed, photo).astype(np.uint8)


def holdout_picture(
    packed: PackedData, rows: Sequence[int], predictions: Predictions, class_names: Sequence[str], *, count: int = 4
) -> Image.Image:
    """A sheet of `count` evenly picked holdout photos: photo, target, prediction, and the legend of classes."""
    picked = set(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int).tolist())
    colours = palette(len(class_names), background=class_names[0] == "Background")
    strips = []
    for position, (row, (_, class_map)) in enumerate(zip(rows, predictions.maps())):
        if position in picked:
            photo = _fit(packed.images[row], Image.Resampling.BILINEAR, packed.sizes[row])
            maps = [
                _fit(np.asarray(one), Image.Resampling.NEAREST, packed.sizes[row])
                for one in (packed.full_mask(row), class_map)
            ]
            strips.append(np.hstack([photo, *(overlay(photo, one, colours) for one in maps)]))
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(strip, ((0, 4), (0, width - strip.shape[1]), (0, 0))) for strip in strips]
    return with_legend(np.vstack(padded), "photo, target, prediction", dict(enumerate(class_names)), colours)


def _fit(array: np.ndarray, how: Image.Resampling, size: tuple[int, int]) -> np.ndarray:
    scale = TILE / max(size)
    return np.asarray(Image.fromarray(array).resize((round(size[1] * scale), round(size[0] * scale)), how))


def with_legend(sheet: np.ndarray, caption: str, names: Mapping[int, str], colours: np.ndarray) -> Image.Image:
    """The sheet uint8 (H, W, 3) with a caption below it, and the colour and name of each class id in `names`."""
    columns = max(1, sheet.shape[1] // 140)
    lines = -(-len(names) // columns) + 1
    image = Image.new("RGB", (sheet.shape[1], sheet.shape[0] + lines * LEGEND_HEIGHT), "white")
    image.paste(Image.fromarray(sheet))
    draw = ImageDraw.Draw(image)
    draw.text((6, sheet.shape[0] + 4), caption, fill="black")
    for place, (class_id, name) in enumerate(names.items()):
        line, column = divmod(place, columns)
        left, top = column * 140 + 6, sheet.shape[0] + (line + 1) * LEGEND_HEIGHT
        draw.rectangle((left, top + 3, left + 14, top + 15), fill=tuple(colours[class_id].tolist()), outline="black")
        draw.text((left + 20, top + 3), name[:18], fill="black")
    return image
