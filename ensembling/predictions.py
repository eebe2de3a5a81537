"""The predictions file: one trial's class maps of the holdout, compact, checked, and read without pickle.

File layout, integers little-endian:

    8 bytes   b"SEGVOTE\\n"
    2         format version
    4         n, the size of the header
    32        SHA-256 of the header
    n         header: JSON with image ids, sizes, class names, fingerprint, and the payload's bytes and SHA-256
    the rest  payload: the pixels under zstandard; two a byte, the first in the low half, where all ids are below 16
"""

import hashlib
import json
import os
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from ensembling.vote import ABSTAIN

MAGIC = b"SEGVOTE\n"
VERSION = 1
PREFIX = struct.Struct("<8sHI32s")
HEADER_KEYS = {
    "image_ids",
    "sizes",
    "class_names",
    "fingerprint",
    "pixels_per_byte",
    "payload_bytes",
    "payload_sha256",
}


class PredictionsError(ValueError):
    """A predictions file or its content is not what it must be; the message names the file."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Class maps of the holdout's images, in the holdout's order.

    `pixels` is uint8 (sum of height * width,): the maps one after another, row by row; ids below len(class_names), or
    255 for no vote. `sizes` are (height, width); `fingerprint` names the holdout (images, masks, edits) that was
    predicted. Raises PredictionsError where these do not fit together.
    """

    image_ids: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    class_names: tuple[str, ...]
    fingerprint: str
    pixels: np.ndarray

    def __post_init__(self) -> None:
        _check_names(self)
        _check_pixels(self)

    def maps(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each image's id and its class map, a view of uint8 (height, width)."""
        start = 0
        for image_id, (height, width) in zip(self.image_ids, self.sizes, strict=True):
            yield image_id, self.pixels[start : start + height * width].reshape(height, width)
            start += height * width

    def image_of_pixels(self) -> np.ndarray:
        """The image of each pixel, int32 (pixels,), as the place of its id among the sorted ids.

        Made for `select_ensemble`: the folds of its cross-fit then do not depend on the order of the images.
        """
        place = {image_id: index for index, image_id in enumerate(sorted(self.image_ids))}
        places = np.array([place[image_id] for image_id in self.image_ids], np.int32)
        return np.repeat(places, [height * width for height, width in self.sizes])


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write the file under a temporary name beside `path`, then rename it: it is there whole or not at all."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(_encode(predictions))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_predictions(path: str | Path) -> Predictions:
    """The predictions in the file. Raises PredictionsError, naming it, where a single bit is not as it was written.

    A file that cannot be opened raises OSError.
    """
    data = Path(path).read_bytes()
    try:
        return _decode(data)
    except PredictionsError as error:
        raise PredictionsError(f"{path}: {error}; write it again from its trial") from error


def check_same_holdout(
    first: Predictions, second: Predictions, *, first_name: str = "first", second_name: str = "second"
) -> None:
    """Raise PredictionsError naming both (as the caller calls them) unless their pixels may be voted on together.

    They may if fingerprint, image ids, sizes and class names are the same, in the same order.
    """
    for key in ("fingerprint", "class_names", "image_ids", "sizes"):
        ours, theirs = getattr(first, key), getattr(second, key)
        if ours != theirs:
            raise PredictionsError(
                f"{first_name} and {second_name} differ in {key.replace('_', ' ')}, so their votes cannot be mixed: "
                f"{_difference(ours, theirs)}; choose candidates of one holdout and one class map"
            )


def _difference(ours: str | tuple, theirs: str | tuple) -> str:
    if isinstance(ours, str) or len(ours) != len(theirs):
        sizes = (repr(ours), repr(theirs)) if isinstance(ours, str) else (len(ours), len(theirs))
        return f"{sizes[0]} against {sizes[1]}"
    place = next(index for index, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    return f"{ours[place]!r} against {theirs[place]!r} at place {place}"


def _check_names(predictions: Predictions) -> None:
    for key in ("image_ids", "class_names"):
        names = getattr(predictions, key)
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise PredictionsError(f"{key} must be a tuple of strings, not {str(names)[:80]}")
        if len(set(names)) < len(names):
            raise PredictionsError(f"{key} name one thing twice: {next(n for n in names if names.count(n) > 1)!r}")
    if not 1 <= len(predictions.class_names) <= 255:
        raise PredictionsError(f"there are {len(predictions.class_names)} class_names, but must be 1 to 255")
    if not isinstance(predictions.fingerprint, str):
        raise PredictionsError(f"fingerprint must be a string, not {predictions.fingerprint!r}")
    if len(predictions.sizes) != len(predictions.image_ids):
        raise PredictionsError(f"{len(predictions.sizes)} sizes for {len(predictions.image_ids)} image ids")
    for image_id, size in zip(predictions.image_ids, predictions.sizes, strict=True):
        if not (isinstance(size, tuple) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)):
            raise PredictionsError(f"the size of image {image_id!r} is {size!r}, but must be (height, width)")


def _check_pixels(predictions: Predictions) -> None:
    pixels, expected = predictions.pixels, _pixel_count(predictions.sizes)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (expected,):
        came = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise PredictionsError(f"pixels are {came}, but must be uint8 ({expected},), as the sizes say")
    num_classes = len(predictions.class_names)
    wrong = (pixels >= num_classes) & (pixels != ABSTAIN)
    if wrong.any():
        raise PredictionsError(f"pixels hold class id {pixels[wrong][0]}, but there are {num_classes} classes")


def _pixel_count(sizes: tuple[tuple[int, int], ...]) -> int:
    return sum(height * width for height, width in sizes)


def _encode(predictions: Predictions) -> bytes:
    pixels = np.ascontiguousarray(predictions.pixels)
    pixels_per_byte = 2 if pixels.size == 0 or pixels.max() < 16 else 1
    payload = zstandard.ZstdCompressor(level=3).compress(_pack_pairs(pixels) if pixels_per_byte == 2 else pixels)
    content = {
        "image_ids": predictions.image_ids,
        "sizes": predictions.sizes,
        "class_names": predictions.class_names,
        "fingerprint": predictions.fingerprint,
        "pixels_per_byte": pixels_per_byte,
        "payload_bytes": len(payload),
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
    }
    header = json.dumps(content, separators=(",", ":")).encode()
    return PREFIX.pack(MAGIC, VERSION, len(header), hashlib.sha256(header).digest()) + header + payload


def _decode(data: bytes) -> Predictions:
    header, payload = _split(data)
    try:
        image_ids, class_names = tuple(header["image_ids"]), tuple(header["class_names"])
        sizes = tuple((int(height), int(width)) for height, width in header["sizes"])
    except (TypeError, ValueError) as error:
        raise PredictionsError(f"its header is not what this format holds ({error})") from error
    pixels = _unpack_payload(payload, _pixel_count(sizes), header["pixels_per_byte"])
    return Predictions(image_ids, sizes, class_names, header["fingerprint"], pixels)


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """Header and payload, both known to be what was written."""
    if data[: len(MAGIC)] != MAGIC:
        raise PredictionsError("not a predictions file (it does not begin with SEGVOTE)")
    if len(data) < PREFIX.size:
        raise PredictionsError(f"cut off after {len(data)} bytes")
    _, version, header_size, digest = PREFIX.unpack_from(data)
    if version != VERSION:
        raise PredictionsError(f"format version {version}, but this release reads version {VERSION}")
    stop = PREFIX.size + header_size
    if len(data) < stop or hashlib.sha256(data[PREFIX.size : stop]).digest() != digest:
        raise PredictionsError("its header is damaged or cut off (checksum)")
    header = _parse_header(data[PREFIX.size : stop])
    payload = memoryview(data)[stop:]
    if len(payload) != header["payload_bytes"]:
        raise PredictionsError(f"{len(payload)} bytes of pixels, but the header says {header['payload_bytes']}")
    if hashlib.sha256(payload).hexdigest() != header["payload_sha256"]:
        raise PredictionsError("its pixels are damaged (checksum)")
    return header, payload


def _parse_header(header: bytes) -> dict[str, Any]:
    try:
        content = json.loads(header)
    except ValueError as error:
        raise PredictionsError(f"its header is not JSON ({error})") from error
    if not isinstance(content, dict) or set(content) != HEADER_KEYS:
        raise PredictionsError(f"its header must have the keys {sorted(HEADER_KEYS)}")
    return content


def _unpack_payload(payload: memoryview, pixel_count: int, pixels_per_byte: int) -> np.ndarray:
    if pixels_per_byte not in (1, 2):
        raise PredictionsError(f"its header says {pixels_per_byte!r} pixels a byte, but must say 1 or 2")
    expected = -(-pixel_count // pixels_per_byte)
    try:
        # Bounded by what the header promises, so that no file can claim the machine's memory.
        if zstandard.frame_content_size(payload) != expected:
            raise PredictionsError(f"its pixels do not fill {expected} bytes, as the sizes of its images say")
        packed = np.frombuffer(zstandard.ZstdDecompressor().decompress(payload), np.uint8)
    except zstandard.ZstdError as error:
        raise PredictionsError(f"its pixels cannot be decompressed ({error})") from error
    return packed if pixels_per_byte == 1 else _unpack_pairs(packed, pixel_count)


def _pack_pairs(pixels: np.ndarray) -> np.ndarray:
    packed = pixels[0::2].copy()
    packed[: pixels.size // 2] |= pixels[1::2] << np.uint8(4)
    return packed


def _unpack_pairs(packed: np.ndarray, pixel_count: int) -> np.ndarray:
    pixels = np.empty(2 * packed.size, np.uint8)
    np.bitwise_and(packed, 15, out=pixels[0::2])
    np.right_shift(packed, 4, out=pixels[1::2])
    return pixels[:pixel_count]
