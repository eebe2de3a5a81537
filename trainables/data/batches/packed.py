"""The packed cache: photos and class maps, decoded once per data set and node into files that all trials map."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image

from trainables.data.annotations.checks import RESTORE, Problem, raise_if_any
from trainables.data.dataset import Dataset, ImageRecord
from trainables.data.photos.photo_files import PhotoError, decode_photo, forget_photos, memo_path, usable_threads
from trainables.errors import UserError

_VERSION = 2  # version 1 did not turn PNGs as their EXIF orientation says
_HEADER, _IMAGES, _MASKS, _FULL_MASKS = "header.json", "images.bin", "masks.bin", "full_masks.bin"

log = logging.getLogger(__name__)


def packed_directory(cache_dir: Path | str, fingerprint: str, image_size: tuple[int, int]) -> Path:
    """Return the directory of the cache of that data set at that size (h, w), whether it exists or not."""
    height, width = image_size
    return Path(cache_dir) / f"packed-v{_VERSION}-{fingerprint[:16]}-{width}x{height}"


class PackedData:
    """All photos of a data set at one size, row by row as in the data set; read-only views of memory-mapped files.

    images:  uint8 (N, h, w, 3), RGB, antialiased bilinear.
    masks:   uint8 (N, h, w), class ids, 255 ignored; nearest neighbour. Rows without labels are 255 throughout.
    sizes:   (H, W) of each row's own class map, `full_mask(row)`.
    image_ids, file_names: as in the annotation files; an image id of train.json may occur again in val.json.

    Pickles as its path, and is mapped anew where it is unpickled.
    """

    def __init__(self, directory: Path, header: dict[str, Any]) -> None:
        self.directory = directory
        self.fingerprint: str = header["fingerprint"]
        self.image_size: tuple[int, int] = tuple(header["image_size"])
        self.sizes: tuple[tuple[int, int], ...] = tuple((height, width) for height, width in header["sizes"])
        self.image_ids: tuple[int, ...] = tuple(header["image_ids"])
        self.file_names: tuple[str, ...] = tuple(header["file_names"])
        self._checksums: dict[str, str] = header["sha256"]
        self._offsets = _offsets(self.sizes)
        shape = (len(self.sizes), *self.image_size)
        self.images = np.memmap(directory / _IMAGES, np.uint8, "r", shape=(*shape, 3))
        self.masks = np.memmap(directory / _MASKS, np.uint8, "r", shape=shape)
        self._full_masks = np.memmap(directory / _FULL_MASKS, np.uint8, "r")

    def __len__(self) -> int:
        return len(self.sizes)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_packed, (self.directory,)

    def full_mask(self, row: int) -> np.ndarray:
        """Return the class map of a row at the photo's own size, uint8 (H, W), a view."""
        row = range(len(self))[row]
        return self._full_masks[self._offsets[row] : self._offsets[row + 1]].reshape(self.sizes[row])

    def verify(self) -> None:
        """Read all files, and raise UserError where one of them is not what was written."""
        for name, expected in self._checksums.items():
            if file_sha256(self.directory / name) != expected:
                raise UserError(
                    f"{self.directory / name} is damaged: delete {self.directory}, it is built again when needed"
                )


def open_packed(directory: Path | str) -> PackedData:
    """Return a finished cache.

    Raises UserError where there is no cache, or where it is of another version, has wrong file sizes or a damaged
    header.
    """
    directory = Path(directory)
    try:
        header = json.loads((directory / _HEADER).read_text())
        complete = header["version"] == _VERSION and all(
            (directory / name).stat().st_size == size
            for name, size in _file_sizes(header["sizes"], header["image_size"]).items()
        )
        if complete:
            return PackedData(directory, header)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{directory}: no readable cache ({error!r}); delete it, it is built again when needed"
        ) from error
    raise UserError(
        f"{directory}: the cache has files of a wrong size or version; delete it, it is built again when needed"
    )


def pack(
    dataset: Dataset,
    image_size: tuple[int, int],
    cache_dir: Path | str,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PackedData:
    """Return the cache of the data set at one size, which is built unless a complete one exists.

    Any number of processes may call this at once: one of them builds the cache, and the others wait and then open it. A
    build becomes visible only when it is complete; an incomplete one that a killed process left is removed by the next
    build.

    Args:
        dataset: The data set.
        image_size: (height, width) at which photos are decoded.
        cache_dir: The directory of all caches.
        progress: A function that is called with the number of photos done and of all.

    Raises:
        UserError: The cache cannot be written, or photos cannot be decoded or have changed since they were checked, all
            of which are listed.
    """
    directory = packed_directory(cache_dir, dataset.fingerprint, image_size)
    packed = _open_if_complete(directory, dataset, image_size)
    if packed is not None:
        return packed
    with _explained(directory, dataset, image_size):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{directory}.lock"):
            packed = _open_if_complete(directory, dataset, image_size)
            return packed or _build(directory, dataset, tuple(image_size), progress)


def _open_if_complete(directory: Path, dataset: Dataset, image_size: tuple[int, int]) -> PackedData | None:
    if not directory.exists():
        return None
    try:
        packed = open_packed(directory)
    except UserError as error:
        log.warning("building anew: %s", error)
        return None
    # The directory's name holds a part of the fingerprint only.
    return packed if packed.fingerprint == dataset.fingerprint and packed.image_size == tuple(image_size) else None


@contextmanager
def _explained(directory: Path, dataset: Dataset, image_size: tuple[int, int]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        needed = sum(_file_sizes([(image.height, image.width) for image in dataset.images], image_size).values())
        raise UserError(
            f"cannot write the cache {directory} ({error.strerror or error}): it takes {needed / 2**30:.2f} GiB; "
            f"free some space or choose another cache directory"
        ) from error


def _build(
    directory: Path, dataset: Dataset, image_size: tuple[int, int], progress: Callable[[int, int], None] | None
) -> PackedData:
    """Build the cache beside `directory`, then rename it.

    Only the process that holds the lock gets here, so that incomplete builds of other processes can be removed.
    """
    prefix = f".{directory.name}."
    for left in directory.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    building = Path(tempfile.mkdtemp(prefix=prefix, dir=directory.parent))
    try:
        _write_rows(building, dataset, image_size, progress)
        _write_header(building, dataset, image_size)
        shutil.rmtree(directory, ignore_errors=True)
        building.chmod(0o755)
        building.rename(directory)
        return open_packed(directory)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_rows(
    building: Path, dataset: Dataset, image_size: tuple[int, int], progress: Callable[[int, int], None] | None
) -> None:
    offsets = _offsets([(image.height, image.width) for image in dataset.images])
    pixels = image_size[0] * image_size[1]
    with (
        _Writer(building / _IMAGES) as images,
        _Writer(building / _MASKS) as masks,
        _Writer(building / _FULL_MASKS) as full,
    ):

        def write_row(image: ImageRecord) -> Problem | None:
            try:
                photo = _decode(image, image_size)
            except PhotoError as error:
                forget_photos(
                    memo_path(building.parent, dataset.root)
                )  # what it remembers of a photo may be out of date
                return Problem(dataset.file(image.split), image.image_id, f"{image.file_name} {error}", RESTORE)
            mask = dataset.mask(image.row)
            images.write(photo, image.row * pixels * 3)
            masks.write(_resize_nearest(mask, image_size), image.row * pixels)
            full.write(mask, offsets[image.row])
            return None

        raise_if_any(dataset.root, _run(write_row, dataset.images, progress))


def _decode(image: ImageRecord, image_size: tuple[int, int]) -> np.ndarray:
    try:
        data = image.path.read_bytes()
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror})") from error
    if image.sha256 and hashlib.sha256(data).hexdigest() != image.sha256:
        raise PhotoError("changed while the cache was built: start again")
    return decode_photo(data, (image.height, image.width), image_size)


def _run(
    write_row: Callable[[ImageRecord], Problem | None],
    images: tuple[ImageRecord, ...],
    progress: Callable[[int, int], None] | None,
) -> list[Problem]:
    """Write all rows and return their faults. Each thread holds one photo at a time, which limits the memory."""
    problems = []
    pool = ThreadPoolExecutor(usable_threads())
    try:
        for done, problem in enumerate(pool.map(write_row, images), start=1):
            problems += [problem] if problem else []
            if progress is not None:
                progress(done, len(images))
    finally:
        pool.shutdown(cancel_futures=True)
    return problems


class _Writer:
    """A writer of arrays at byte offsets, which any thread may use.

    On a full disk it raises an error, where a memory map would end the process by SIGBUS.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, array: np.ndarray, offset: int) -> None:
        data = memoryview(np.ascontiguousarray(array)).cast("B")
        while data:
            written = os.pwrite(self._file.fileno(), data, offset)
            data, offset = data[written:], offset + written

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        # Opening a cache checks file sizes only, so the content must be on the disk before the rename.
        os.fsync(self._file.fileno())
        self._file.close()


def _write_header(building: Path, dataset: Dataset, image_size: tuple[int, int]) -> None:
    sizes = [(image.height, image.width) for image in dataset.images]
    header = {
        "version": _VERSION,
        "fingerprint": dataset.fingerprint,
        "image_size": image_size,
        "sizes": sizes,
        "image_ids": [image.image_id for image in dataset.images],
        "file_names": [image.file_name for image in dataset.images],
        "sha256": {name: file_sha256(building / name) for name in _file_sizes(sizes, image_size)},
    }
    (building / _HEADER).write_text(json.dumps(header))


def _resize_nearest(mask: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    if mask.shape == image_size:
        return mask
    return np.asarray(Image.fromarray(mask).resize((image_size[1], image_size[0]), Image.Resampling.NEAREST))


def _file_sizes(sizes: Sequence[tuple[int, int]], image_size: tuple[int, int]) -> dict[str, int]:
    """Return the bytes of each file but the header, by name."""
    pixels = len(sizes) * image_size[0] * image_size[1]
    return {_IMAGES: 3 * pixels, _MASKS: pixels, _FULL_MASKS: sum(height * width for height, width in sizes)}


def _offsets(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Return the offset of each row's full class map in its file, and the end of the last one."""
    return [0, *np.cumsum([height * width for height, width in sizes]).tolist()]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
