"""Photo files: their facts, which are read once and remembered, and their pixels."""

import hashlib
import io
import json
import os
import stat
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from trainables.data.photos import tones
from trainables.data.photos.frames import has_several
from trainables.files import LFS_POINTER, write_text
from trainables.hardware.cores import usable_cores

# Named, because Pillow would otherwise try every format it knows, and hand an EPS file to an interpreter.
# JPEG covers MPO, the several JPEGs in one file that telephones write.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
MAX_MEGAPIXELS = 179.0  # of a photo, unless a flag says otherwise: decoding takes 3 bytes a pixel
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit gives no remedy; `check_megapixels` has ours

DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, OverflowError)
_TURN = {  # by EXIF orientation, the operation from stored pixels to displayed ones
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BACK = {6: 8, 8: 6}  # the orientation that undoes another one; the others undo themselves


class PhotoError(ValueError):
    """The error for a photo file that cannot be read; the message is the reason alone, without the file's name.

    `remedy` says what to do where the remedy is not to restore the photo.
    """

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.remedy = remedy


@dataclass(frozen=True)
class PhotoFacts:
    """The SHA-256 of the file's bytes, its size in pixels as stored, its EXIF orientation (1: none), and its white
    value.

    `white` is the value of a white sample, 255 for every photo of 8 bits; see trainables.data.photos.tones for others.
    `several` is whether the file holds more pictures than the first, which is the photo.
    """

    sha256: str
    width: int
    height: int
    orientation: int
    white: float = tones.BYTE
    several: bool = False

    @property
    def shown_size(self) -> tuple[int, int]:
        """Return (height, width) as a viewer that follows the EXIF orientation shows the photo."""
        return (self.width, self.height) if self.turned else (self.height, self.width)

    @property
    def turned(self) -> bool:
        """Return whether the EXIF orientation makes rows of columns."""
        return self.orientation >= 5

    @property
    def ambiguous(self) -> bool:
        """Return whether the size alone cannot tell if the annotations follow the EXIF orientation."""
        return self.orientation != 1 and self.shown_size == (self.height, self.width)

    def fits(self, height: int, width: int) -> bool:
        """Return whether the photo has that size, as stored or as shown."""
        return (height, width) in (self.shown_size, (self.height, self.width))


def usable_threads() -> int:
    """Return how many threads read photos: one for each core that this process may use, at least 2 and at most 8."""
    return min(8, max(2, usable_cores()))


def memo_path(cache_dir: Path | str, root: Path) -> Path:
    """Return the file in which the facts of the photos of the data set `root` are remembered."""
    return Path(cache_dir) / f"photos-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"


def inspect_photos(
    paths: Sequence[Path], memo: Path | None, *, max_megapixels: float = MAX_MEGAPIXELS
) -> list[PhotoFacts | PhotoError]:
    """Return the facts of each photo, or why it cannot be read.

    Photos of 8 bits are not decoded, so that an incomplete one is not noticed. `memo` is a JSON file in which facts are
    remembered by path, size, and times of the last modification and change, so that a second call reads only what has
    changed. It is rewritten, whole or not at all, with the entries of these paths. Where that is not permitted it is
    left as it is, so that the cache of another user can be read.
    """
    known = _read_memo(memo)
    with ThreadPoolExecutor(usable_threads()) as pool:
        entries = list(pool.map(lambda path: _inspect_unless_known(path, known, max_megapixels), paths))
    fresh = {str(path): [key, list(astuple(facts))] for path, (key, facts) in zip(paths, entries) if key is not None}
    if memo is not None and fresh != known:
        with suppress(OSError):
            write_text(memo, json.dumps(fresh))
    return [facts for _, facts in entries]


def _inspect_unless_known(
    path: Path, known: dict[str, Any], most: float
) -> tuple[list[int] | None, PhotoFacts | PhotoError]:
    try:
        key = _key(path)
        facts = _recalled(known.get(str(path)), key)
        if facts is None:
            return key, _inspect(path, most)
        check_megapixels((facts.width, facts.height), most)
        return key, facts
    except PhotoError as error:
        return None, error
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            return None, PhotoError(f"is a link that leads nowhere, to {os.readlink(path)}")
        return None, PhotoError(f"cannot be read ({getattr(error, 'strerror', None) or error})")


def _key(path: Path) -> list[int]:
    """Return values that change when a file is replaced or written to. Raises PhotoError for what is no regular file.

    The time of the last change is set by the system: a file that was replaced by one of the same size and modification
    time has another.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise PhotoError("is no regular file")
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _recalled(entry: Any, key: list[int]) -> PhotoFacts | None:
    """Return the facts in an entry of the memo; None where it is about another file, or damaged."""
    match entry:
        case [seen, [str(sha256), int(width), int(height), int(turn), float(white), bool(several)]] if seen == key:
            return PhotoFacts(sha256, width, height, turn, white, several)
    return None


def _inspect(path: Path, most: float) -> PhotoFacts:
    data = path.read_bytes()
    return _facts(io.BytesIO(data), hashlib.sha256(data).hexdigest(), most)


def inspect_header(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> PhotoFacts:
    """Return the facts of a photo without its hash; of a photo of 8 bits only the file's beginning is read.

    Raises PhotoError where the file is no photo or the photo is too large.
    """
    try:
        _key(path)
        with path.open("rb") as file:
            return _facts(file, "", max_megapixels)
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror or error})") from error


def check_megapixels(size: tuple[int, int], most: float) -> None:
    """Raise PhotoError for an image of more than `most` megapixels; `size` is its width and height."""
    megapixels = size[0] * size[1] / 1e6
    if megapixels > most:
        raise PhotoError(
            f"has {size[0]}x{size[1]} pixels, {megapixels:.1f} megapixels, and up to {most:g} are taken",
            f"allow it by --max-megapixels {int(megapixels) + 1}, or make it smaller",
        )


def _facts(stream: BinaryIO, sha256: str, most: float) -> PhotoFacts:
    with _open(stream) as image:
        check_megapixels(image.size, most)  # before samples of more than 8 bits are decoded
        (width, height), orientation = image.size, _orientation(image, stream)
        if image.format == "TIFF" and orientation >= 5:  # Pillow states the displayed size
            width, height = height, width
        return PhotoFacts(sha256, width, height, orientation, _white(image, stream), has_several(image))


def _white(image: Image.Image, stream: BinaryIO) -> float:
    start = _read_at(stream, 0, 32)
    if not tones.is_deep(image, start):
        return tones.BYTE
    try:
        return tones.white_of(tones.deep_samples(image, _read_at(stream, 0, -1))[0])
    except tones.TonesError as error:
        raise PhotoError(str(error)) from error
    except DECODE_ERRORS as error:
        raise PhotoError(f"is truncated or damaged ({error})") from error


def _read_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Return bytes of the stream, whose position is restored, because Pillow continues from there."""
    place = stream.tell()
    stream.seek(offset)
    try:
        return stream.read(size)
    finally:
        stream.seek(place)


def _open(stream: BinaryIO) -> Image.Image:
    start = _read_at(stream, 0, 4)
    if not start:
        raise PhotoError("is empty (0 bytes)")
    if _read_at(stream, 0, len(LFS_POINTER)) == LFS_POINTER:
        raise PhotoError("is a pointer of Git LFS instead of the photo", "fetch the photos by git lfs pull")
    try:
        return Image.open(stream, formats=FORMATS)
    except Image.UnidentifiedImageError:
        if start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise PhotoError("is a TIFF of a kind that is not read; convert it to 8 bits a sample") from None
        known = f"is no image of a known kind ({', '.join(FORMATS)})"
        raise PhotoError(known, "convert it to JPEG or PNG, restore it, or remove it from the data") from None
    except DECODE_ERRORS as error:
        raise PhotoError(f"is no readable image ({error})") from error


def _orientation(image: Image.Image, stream: BinaryIO) -> int:
    try:
        # Not the method of a PNG's own class, which decodes the whole image to look behind the pixels.
        exif = Image.Image.getexif(image)
        if image.format == "PNG" and not exif and (late := _exif_behind_pixels(stream)):
            exif.load(b"Exif\0\0" + late)
        value = exif.get(tones.ORIENTATION_TAG, 1)
    except DECODE_ERRORS:
        return 1
    return value if value in _TURN else 1


def _exif_behind_pixels(stream: BinaryIO) -> bytes | None:
    """Return the content of a PNG's eXIf chunk, wherever it is; None without one."""
    offset = 8
    while len(head := _read_at(stream, offset, 8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            return _read_at(stream, offset + 8, length)
        offset += length + 12
    return None


def decode_photo(data: bytes, stated_size: tuple[int, int], image_size: tuple[int, int]) -> np.ndarray:
    """Return the photo in `data` as RGB uint8 (h, w, 3), resized to `image_size` (h, w), antialiased bilinear.

    It is turned as its EXIF orientation says where it then has the `stated_size` (height, width) of the annotations,
    and left as stored otherwise. Raises PhotoError where the pixels cannot be decoded, as in a truncated file.
    """
    return decode_at_sizes(data, stated_size, [image_size])[0]


def decode_at_sizes(
    data: bytes, stated_size: tuple[int, int], image_sizes: Sequence[tuple[int, int]]
) -> list[np.ndarray]:
    """Return what `decode_photo` does at each of several sizes; the photo is decoded once."""
    stream = io.BytesIO(data)
    try:
        with _open(stream) as image:
            orientation = _orientation(image, stream)
            pixels, size, turned = _to_rgb(image, data, max(max(size) for size in image_sizes))
    except tones.TonesError as error:
        raise PhotoError(str(error)) from error
    except DECODE_ERRORS as error:
        raise PhotoError(f"is truncated or damaged ({error})") from error
    if orientation != 1:
        pixels = _oriented(pixels, orientation, turned, size, stated_size)
    return [_resize(pixels, size) for size in image_sizes]


def _oriented(
    image: Image.Image, orientation: int, turned: bool, size: tuple[int, int], stated_size: tuple[int, int]
) -> Image.Image:
    """Return the image as it is to be shown if it then has the `stated_size` (height, width), else as it is stored.

    `turned` says whether it is as shown already, and `size` is its (width, height) before a reduction in decoding.
    """
    width, height = size
    shown_size = (width, height) if orientation >= 5 and not turned else (height, width)
    wanted = shown_size == tuple(stated_size)
    if wanted == turned:
        return image
    return image.transpose(_TURN[orientation if wanted else _BACK.get(orientation, orientation)])


def resize_photo(image: np.ndarray, image_sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Return an RGB image uint8 (H, W, 3) at each size, as `decode_at_sizes` resizes a photo that it has decoded."""
    return [_resize(Image.fromarray(image), size) for size in image_sizes]


def _resize(image: Image.Image, image_size: tuple[int, int]) -> np.ndarray:
    size = (image_size[1], image_size[0])
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BILINEAR))


def _to_rgb(image: Image.Image, data: bytes, largest: int) -> tuple[Image.Image, tuple[int, int], bool]:
    """Return the image in RGB, its (width, height) before a reduction, and whether it is turned as EXIF says.

    Pillow turns a TIFF by itself.
    """
    if tones.is_deep(image, data):
        samples, by_pillow = tones.deep_samples(image, data)
        pixels = tones.to_bytes(samples, tones.white_of(samples))
        rgb = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
        return rgb, rgb.size, by_pillow and image.format == "TIFF"
    size = image.size
    # A JPEG can be decoded at a half, a quarter or an eighth; twice the wanted size leaves the filter enough.
    image.draft(None, (2 * largest, 2 * largest))
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB"), size, image.format == "TIFF"


def _read_memo(memo: Path | None) -> dict[str, Any]:
    try:
        known = json.loads(memo.read_bytes()) if memo else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def forget_photos(memo: Path) -> None:
    """Remove what is remembered of photos, so that the next inspection reads them all."""
    with suppress(OSError):
        memo.unlink()
