"""The values that the pixels of a mask's file stand for, whatever they are stored as: numbers, palettes or colours."""

from pathlib import Path

import numpy as np
from PIL import Image

from trainables.data.formats.class_lists import ClassList, Colour
from trainables.data.photos.photo_files import DECODE_ERRORS, check_megapixels
from trainables.errors import UserError
from trainables.files import check_fetched

MASK_FORMATS = ("PNG", "TIFF", "BMP", "GIF")
MOST_MEGAPIXELS = 2000.0  # of a mask, whose pixels take a few bytes each


def read_values(file: Path, classes: ClassList) -> tuple[np.ndarray, list]:
    """Return the values (H, W) of a mask, and the colours that are of no class.

    Palette files give their indices, unless the list of classes has their colours with other values; the indices of a
    GIF say nothing, and its colours count. Where the list has no colours at all, a file whose three channels are equal
    gives their values.
    """
    try:
        with Image.open(file, formats=MASK_FORMATS) as image:
            check_megapixels(image.size, MOST_MEGAPIXELS)  # a damaged head may state any size
            without_alpha = {"RGBA": "RGB", "LA": "L", "PA": "P"}.get(image.mode)
            if image.format == "GIF":  # whose writers number the colours anew
                without_alpha = "RGB"
            image = image.convert(without_alpha) if without_alpha else image
            pixels, palette = np.asarray(image), np.array(image.getpalette() or (), np.uint8).reshape(-1, 3)
    except DECODE_ERRORS as error:
        check_fetched(file)
        raise UserError(f"{file} is no readable mask ({error}); export it again") from error
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise UserError(f"{file} is a mask of {pixels.shape[2]} channels; export it with one, or in RGB")
    if pixels.dtype.kind == "f" and (pixels != np.floor(pixels)).any():
        raise UserError(f"{file} is a mask of fractions, but the value of a class is a whole number; export it again")
    if pixels.ndim == 2:
        return _by_palette(pixels, palette, classes) if len(palette) else (_whole(pixels), [])
    if not classes.colours and (pixels == pixels[..., :1]).all():
        return pixels[..., 0], []
    if not classes.colours:
        raise UserError(
            f"{file} is a mask in colour, but the list of classes gives no colours: write red green blue name a line"
        )
    return _by_colour(pixels, classes)


def _whole(pixels: np.ndarray) -> np.ndarray:
    """Return values that are stored as bits or as fractions as whole numbers."""
    return pixels.astype({"b": np.uint8, "f": np.int64}.get(pixels.dtype.kind, pixels.dtype), copy=False)


def _by_palette(indices: np.ndarray, palette: np.ndarray, classes: ClassList) -> tuple[np.ndarray, list[Colour]]:
    """Return the values (H, W) of a mask of indices uint8 into its palette, uint8 (n, 3), and the colours of no class.

    The values are the indices, unless the list of classes has a colour of the mask with another value than its index.
    """
    used = np.flatnonzero(np.bincount(indices.ravel())).tolist()
    colours = {index: tuple(palette[index].tolist()) if index < len(palette) else () for index in used}
    listed = {index: classes.colours[colour] for index, colour in colours.items() if colour in classes.colours}
    if all(index == value for index, value in listed.items()):
        return indices, []
    values = np.arange(256, dtype=np.int32)
    values[list(listed)] = list(listed.values())
    return values[indices], [colour for index, colour in colours.items() if index not in listed]


def _by_colour(pixels: np.ndarray, classes: ClassList) -> tuple[np.ndarray, list[Colour]]:
    """Return the values int32 (H, W) of a mask in colour, uint8 (H, W, 3), -1 for other colours, and those colours."""
    codes = pixels[..., 0].astype(np.int32)
    for channel in (1, 2):
        codes <<= 8
        codes |= pixels[..., channel]
    values = classes.value_of_colour[codes]
    others = np.unique(codes[values == -1]).tolist()
    return values, [(code >> 16, code >> 8 & 255, code & 255) for code in others]


def counted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values that occur, ascending, and how many pixels have each; up to 16 bits they are not sorted."""
    if values.min() < 0 or values.max() > 65535:
        return np.unique(values, return_counts=True)
    counts = np.bincount(values.ravel())
    present = np.flatnonzero(counts)
    return present, counts[present]
