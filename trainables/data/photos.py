"""Photo files: what they are (read once, remembered) and their pixels."""

import hashlib
import io
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

# Named, because Pillow would otherwise try every format it knows, and hand an EPS file to an interpreter.
# JPEG covers MPO, the several JPEGs in one file that telephones write.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
_WITH_EXIF_ORIENTATION = ("JPEG", "MPO", "WEBP")
_ORIENTATION_TAG = 0x0112
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


class PhotoError(ValueError):
    """A photo file that cannot be read; the message is the reason alone, without the file's name."""


@dataclass(frozen=True)
class PhotoFacts:
    """SHA-256 of the file's bytes, size in pixels as stored, and the EXIF orientation (1: none)."""

    sha256: str
    width: int
    height: int
    orientation: int

    @property
    def shown_size(self) -> tuple[int, int]:
        """(height, width) as a viewer that follows the EXIF orientation shows it."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)

    @property
    def ambiguous(self) -> bool:
        """Whether the size alone cannot tell if the annotations follow the EXIF orientation."""
        return self.orientation != 1 and self.shown_size == (self.height, self.width)

    def fits(self, height: int, width: int) -> bool:
        """Whether the photo has that size, as stored or as shown."""
        return (height, width) in (self.shown_size, (self.height, self.width))


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_threads() -> int:
    """Threads for reading photos: the cores this process may use, at least 2 and at most 8."""
    return min(8, max(2, usable_cores()))


def inspect_photos(paths: Sequence[Path], memo: Path | None) -> list[PhotoFacts | PhotoError]:
    """The facts of each photo, or why it cannot be read; nothing is decoded, so a truncated photo passes.

    `memo` is a JSON file in which facts are remembered by path, size and modification time, so that a second call reads
    only what changed; it is written anew, whole or not at all, with the entries of these paths.
    """
    known = _read_memo(memo)
    with ThreadPoolExecutor(usable_threads()) as pool:
        entries = list(pool.map(lambda path: _inspect_unless_known(path, known), paths))
    fresh = {str(path): [key, astuple(facts)] for path, (key, facts) in zip(paths, entries) if key is not None}
    if memo is not None and fresh != known:
        _write_memo(memo, fresh)
    return [facts for _, facts in entries]


def _inspect_unless_known(path: Path, known: dict) -> tuple[list[int] | None, PhotoFacts | PhotoError]:
    try:
        stat = path.stat()
        key = [stat.st_size, stat.st_mtime_ns]
        remembered = known.get(str(path))
        return key, PhotoFacts(*remembered[1]) if remembered and remembered[0] == key else _inspect(path)
    except PhotoError as error:
        return None, error
    except OSError as error:
        return None, PhotoError(f"cannot be read ({error.strerror})")


def _inspect(path: Path) -> PhotoFacts:
    data = path.read_bytes()
    with _open(data) as image:
        return PhotoFacts(hashlib.sha256(data).hexdigest(), *image.size, _orientation(image))


def inspect_header(path: Path) -> PhotoFacts:
    """The facts of a photo but for its hash: nothing but the file's beginning is read. Raises PhotoError."""
    try:
        with path.open("rb") as file, _open_stream(file) as image:
            return PhotoFacts("", *image.size, _orientation(image))
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror or error})") from error


def _open(data: bytes) -> Image.Image:
    if not data:
        raise PhotoError("is empty (0 bytes)")
    return _open_stream(io.BytesIO(data))


def _open_stream(stream: BinaryIO) -> Image.Image:
    try:
        return Image.open(stream, formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise PhotoError(f"is no image of a known kind ({', '.join(FORMATS)})") from None
    except _DECODE_ERRORS as error:
        raise PhotoError(f"is no readable image ({error})") from error


def _orientation(image: Image.Image) -> int:
    # Pillow decodes a whole PNG to look for its EXIF data, and turns a TIFF by itself.
    if image.format not in _WITH_EXIF_ORIENTATION:
        return 1
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODE_ERRORS:
        return 1
    return value if value in range(1, 9) else 1


def decode_photo(data: bytes, stated_size: tuple[int, int], image_size: tuple[int, int]) -> np.ndarray:
    """The photo in `data` as RGB uint8 (h, w, 3), resized to `image_size` (h, w), antialiased bilinear.

    It is turned as its EXIF orientation says where it then has the `stated_size` (height, width) of the annotations,
    and left as stored otherwise. Raises PhotoError where the pixels cannot be decoded, as in a truncated file.
    """
    return decode_at_sizes(data, stated_size, [image_size])[0]


def decode_at_sizes(
    data: bytes, stated_size: tuple[int, int], image_sizes: Sequence[tuple[int, int]]
) -> list[np.ndarray]:
    """`decode_photo` at each of several sizes, decoded once."""
    image = _open(data)
    facts = PhotoFacts("", *image.size, _orientation(image))
    try:
        # A JPEG can be decoded at a half, a quarter or an eighth; twice the wanted size leaves the filter enough.
        largest = max(max(size) for size in image_sizes)
        image.draft(None, (2 * largest, 2 * largest))
        if facts.orientation != 1 and facts.shown_size == tuple(stated_size):
            image = ImageOps.exif_transpose(image)
        image = _to_rgb(image)
    except _DECODE_ERRORS as error:
        raise PhotoError(f"is truncated or damaged ({error})") from error
    return [_resize(image, size) for size in image_sizes]


def resize_photo(image: np.ndarray, image_sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """An RGB image uint8 (H, W, 3) at each size, as `decode_at_sizes` resizes a photo that it has decoded."""
    return [_resize(Image.fromarray(image), size) for size in image_sizes]


def _resize(image: Image.Image, image_size: tuple[int, int]) -> np.ndarray:
    size = (image_size[1], image_size[0])
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BILINEAR))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel: Pillow's own conversion clips at 255
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def _read_memo(memo: Path | None) -> dict:
    try:
        known = json.loads(memo.read_text()) if memo else {}
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write_memo(memo: Path, entries: dict) -> None:
    memo.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=memo.parent, prefix=f".{memo.name}.")
    with os.fdopen(handle, "w") as file:
        json.dump(entries, file)
    os.replace(name, memo)
