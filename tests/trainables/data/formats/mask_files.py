"""Masks, and data sets with them, that are written for a test."""

import numpy as np
from PIL import Image

from tests.trainables.data.formats.reading import NOTHING, photo


def blocks(*values, height=16, width=24, dtype=np.uint8):
    """Vertical stripes of the values."""
    return np.array(values, dtype)[np.arange(width) * len(values) // width][None].repeat(height, 0)


def save(path, pixels, mode=None, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels) if mode is None else Image.fromarray(pixels).convert(mode)
    if palette:
        image.putpalette(palette)
    image.save(path)


def folder(root, classes="Background\nPaper\nGlass\n", **masks):
    """images/ and masks/ with a photo for each mask, and a list of classes."""
    for name, pixels in masks.items():
        photo(root / "images" / f"{name}.jpg", pixels.shape[1], pixels.shape[0])
        save(root / "masks" / f"{name}.png", pixels)
    (root / "classes.txt").write_text(classes)
    return root


def read(path):
    with Image.open(path) as image:
        return np.array(image).astype(int)


def coloured(source, name="a"):
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:, 8:16], pixels[:, 16:] = (128, 64, 0), (0, 128, 0)
    save(source / "masks" / f"{name}.png", pixels)
    return np.where(pixels[..., 0] > 0, 1, np.where(pixels[..., 1] > 0, 2, NOTHING))
