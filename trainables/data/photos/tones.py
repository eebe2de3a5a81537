"""Photos whose samples are wider than a byte: which value is white, and the photo in 8 bits.

A file says how wide its samples are, but not how much of that width its camera used: 12 bits in a 16-bit PNG are
common, and such a photo would look black if its values were taken as 16 bits.
"""

import struct
from collections.abc import Iterable

import cv2
import numpy as np
from PIL import Image

BITS = (8, 10, 12, 14, 16)  # of cameras; a photo uses the least of them that holds its highest value
FULL = 65535.0  # white in a photo that uses all of 16 bits
ORIENTATION_TAG = 0x0112  # of TIFF and EXIF
BYTE = 255.0  # white in every photo of 8 bits
_LEAST_OF_BYTES = 16  # a highest value between 1 and this is neither a photo of 0 to 1 nor one of 0 to 255
_COLOUR_MODES = ("L", "LA", "RGB", "RGBA", "RGBX")


class TonesError(ValueError):
    """The error for samples whose black and white values cannot be known; the message is the reason alone."""


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Return whether an open image has samples wider than a byte; `data` are at least the first 32 bytes of its file.

    Pillow shows that by the mode of grey images alone: it takes the upper byte of each sample of a coloured one.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return True
    if image.format == "PNG":
        return data[24] == 16  # the bit depth in the header chunk
    bits = getattr(image, "tag_v2", {}).get(258, (8,))  # BitsPerSample of a TIFF
    return image.mode in _COLOUR_MODES and max(bits) > 8


def deep_samples(image: Image.Image, data: bytes) -> tuple[np.ndarray, bool]:
    """Return the samples (H, W) or (H, W, 3) of a deep image, RGB, and whether they are as Pillow would turn them.

    `data` is the whole file. Pillow turns a TIFF as its orientation says. Coloured images are read by OpenCV, which
    gives all of their bits, and are left as they are stored. Raises TonesError where OpenCV cannot read the file.
    """
    if image.mode not in _COLOUR_MODES:
        return np.asarray(image), True
    stored = _without_orientation(data) if image.format == "TIFF" else data
    samples = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise TonesError("has samples of a kind that is not read; convert it to 8 bits")
    return samples if samples.ndim == 2 else samples[..., 2::-1], False


def _without_orientation(data: bytes) -> bytes:
    """Return the bytes of a TIFF whose first image has the orientation 1: OpenCV would do a part of what others ask."""
    order = "<" if data[:2] == b"II" else ">"
    changed = bytearray(data)
    if struct.unpack_from(f"{order}H", data, 2)[0] != 42:  # a BigTIFF, whose tags are laid out otherwise
        return data
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from(f"{order}H", data, entry)[0] == ORIENTATION_TAG:
            struct.pack_into(f"{order}H", changed, entry + 8, 1)
    return bytes(changed)


def white_of(samples: np.ndarray) -> float:
    """Return the value that is white: 1 of fractions, else the highest of the least of BITS that holds all samples.

    Raises TonesError for samples that are no tones: below zero, not finite, above 16 bits, or fractions above 1.
    """
    lowest, highest = float(samples.min()), float(samples.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise TonesError("has samples that are not finite numbers; convert it to 8 bits")
    if lowest < 0 or highest > FULL:
        raise TonesError(
            f"has samples from {lowest:g} to {highest:g}, of which it cannot be known what is black and what is white; "
            "convert it to 8 bits"
        )
    if samples.dtype.kind == "f":
        if highest <= 1.001:
            return 1.0
        if highest < _LEAST_OF_BYTES:
            raise TonesError(
                f"has fractions up to {highest:g}, and neither 1 nor 255 can be white; convert it to 8 bits"
            )
    return float(next(2**bits - 1 for bits in BITS if highest < 2**bits))


def to_bytes(samples: np.ndarray, white: float) -> np.ndarray:
    """Return the samples as uint8, `white` being 255: whole numbers lose their lowest bits, fractions are rounded."""
    if samples.dtype.kind == "f":
        return np.rint(samples.astype(np.float64) * (BYTE / white)).clip(0, 255).astype(np.uint8)
    return (samples >> max(0, int(white).bit_length() - 8)).clip(0, 255).astype(np.uint8)


def say_whites(whites: Iterable[tuple[str, float]]) -> list[str]:
    """Return a sentence for each white value of deep photos, given the name and the white value of every photo.

    No sentence is about photos of 8 bits, nor about those that use all of 16 bits unless other photos do not.
    """
    names: dict[float, list[str]] = {}
    for name, white in whites:
        if white != BYTE:
            names.setdefault(white, []).append(name)
    if set(names) <= {FULL}:
        return []
    more = " (other photos have another white, so that their brightness cannot be compared)" if len(names) > 1 else ""
    return [
        f"{len(some)} photos with samples wider than a byte, such as {some[0]}, are read with {white:g} as white{more}"
        for white, some in sorted(names.items())
    ]
