"""The class-map file: the class maps of one member, which are appended one by one and can be read at any time.

File layout, integers little-endian:

    8 bytes   b"SEGMAPS\\n"
    frames    height, width, size of the payload and its CRC-32, all uint32; then the payload: the class map row by
              row, compressed by zstandard

A process that is killed may leave an incomplete last frame. Its size or its checksum shows that; it is written again,
and the frames before it are kept.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import zstandard

from trainables.hardware.prefetch import work_ahead

MAGIC = b"SEGMAPS\n"
FRAME = struct.Struct("<IIII")
WAITING = 16  # class maps that may wait to be written
LEVEL = 1  # of zstandard: class maps consist of large regions, which higher levels hardly compress further


class ClassMapsError(ValueError):
    """The error for a class-map file that is damaged or of another format; the message names the file."""


class ClassMapWriter:
    """A writer that appends class maps to a file, after the whole frames that the file has.

    `count` is the number of frames in the file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._file = path.open("r+b")
        self.count, end = _whole_frames(self._file, path)
        self._file.truncate(end)
        self._file.seek(end)
        if end == 0:
            self._file.write(MAGIC)
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)

    def add(self, class_map: np.ndarray) -> int:
        """Append a class map uint8 (H, W) to the file; return how many the file now has."""
        payload = self._compressor.compress(np.ascontiguousarray(class_map))
        self._file.write(FRAME.pack(*class_map.shape, len(payload), zlib.crc32(payload)) + payload)
        self._file.flush()
        self.count += 1
        return self.count

    def add_all(self, class_maps: Iterable[np.ndarray]) -> Iterator[int]:
        """Append class maps, in their order, and yield for each how many the file has.

        A thread writes them while the caller's makes the next ones; at most WAITING of them wait for it.
        """
        with ThreadPoolExecutor(1) as pool:
            yield from work_ahead(pool, self.add, class_maps, ahead=WAITING)

    def __enter__(self) -> "ClassMapWriter":
        return self

    def __exit__(self, *_: object) -> None:
        os.fsync(self._file.fileno())
        self._file.close()


def count_class_maps(path: Path) -> int:
    """Return the number of whole frames in the file, also while it grows; 0 where there is no file."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return _whole_frames(file, path)[0]


def keep_class_maps(path: Path, most: int) -> None:
    """Shorten the file to its first `most` frames, if it has more."""
    if path.exists():
        with path.open("r+b") as file:
            file.truncate(_whole_frames(file, path, most)[1])


def read_class_maps(path: Path) -> Iterator[np.ndarray]:
    """Yield each class map, uint8 (H, W), with one in memory at a time.

    Raises ClassMapsError where a frame is damaged.
    """
    decompressor = zstandard.ZstdDecompressor()
    with path.open("rb") as file:
        _check_magic(file.read(len(MAGIC)), path)
        while prefix := file.read(FRAME.size):
            try:
                height, width, size, checksum = FRAME.unpack(prefix)
                payload = file.read(size)
                if zlib.crc32(payload) != checksum:
                    raise ValueError("a frame's checksum is wrong")
                pixels = decompressor.decompress(payload, max_output_size=height * width)
                yield np.frombuffer(pixels, np.uint8).reshape(height, width)
            except (struct.error, ValueError, zstandard.ZstdError) as error:
                raise ClassMapsError(
                    f"{path} is damaged ({error}): delete it, and the same command predicts it again"
                ) from error


def _whole_frames(file: BinaryIO, path: Path, most: float = float("inf")) -> tuple[int, int]:
    """Return the number of whole frames from the start, `most` at most, and the offset at which the last one ends."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    magic = file.read(len(MAGIC))
    if len(magic) < len(MAGIC):
        return 0, 0
    _check_magic(magic, path)
    count, end, last = 0, len(MAGIC), 0
    while end + FRAME.size <= size and count < most:
        file.seek(end)
        payload = FRAME.unpack(file.read(FRAME.size))[2]
        if end + FRAME.size + payload > size:
            break
        count, last, end = count + 1, end, end + FRAME.size + payload
    # Only the last frame can be incomplete, because the file grows at its end.
    return (count - 1, last) if count and not _is_sound(file, last) else (count, end)


def _is_sound(file: BinaryIO, start: int) -> bool:
    file.seek(start)
    _, _, size, checksum = FRAME.unpack(file.read(FRAME.size))
    return zlib.crc32(file.read(size)) == checksum


def _check_magic(magic: bytes, path: Path) -> None:
    if magic != MAGIC:
        raise ClassMapsError(f"{path} is no class-map file: delete it, and the same command predicts it again")
