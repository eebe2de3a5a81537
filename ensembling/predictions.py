"""The predictions file: one trial's class maps of the holdout, compact, checked, and read without pickle.

File layout, integers little-endian:

    8 bytes   b"SEGVOTE\\n"
    2         format version
    4         n, the size of the header
    32        SHA-256 of the header
    n         header: JSON with image ids, sizes, groups, class names, fingerprints, and the payload's bytes and SHA-256
    the rest  payload under zstandard: the class of each run of equal pixels, then the length of each, 1 to 255

Class maps are regions, so that runs are few: they are a third smaller than two pixels a byte, and filling them in is
as fast as memory takes it.
"""

import hashlib
import json
import os
import re
import socket
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from ensembling.kernels import compiled

MAGIC = b"SEGVOTE\n"
VERSION = 3  # version 2 had no groups: each image is one
STRETCHES = 10  # that a single group of images is cut into
LONGEST = 255  # pixels of a run; a longer one is several
PREFIX = struct.Struct("<8sHI32s")
_COMPARED = {
    "fingerprint": "their holdout's photos or labels",
    "edits": "the edits of their holdout's labels",
    "class_names": "class names",
    "image_ids": "image ids",
    "sizes": "sizes",
}
HEADER_KEYS = {
    "image_ids",
    "sizes",
    "groups",
    "class_names",
    "fingerprint",
    "edits",
    "runs",
    "payload_bytes",
    "payload_sha256",
}


class PredictionsError(ValueError):
    """A predictions file or its content is not what it must be; the message names the file."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Class maps of the holdout's images, in the holdout's order.

    `pixels` is uint8 (sum of height * width,): the maps one after another, row by row; ids below len(class_names), or
    255 for no vote. `sizes` are (height, width); `fingerprint` names the holdout (images and masks) that was predicted,
    `edits` the corrections to its masks, empty without any. `groups` are numbers, (images,): images of one number are
    held out and drawn together; empty, each image is a group. Raises PredictionsError where these do not fit together.
    """

    image_ids: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    class_names: tuple[str, ...]
    fingerprint: str
    pixels: np.ndarray
    edits: str = ""
    groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_names(self)
        _check_pixels(self)

    def maps(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each image's id and its class map, a view of uint8 (height, width)."""
        start = 0
        for image_id, (height, width) in zip(self.image_ids, self.sizes, strict=True):
            yield image_id, self.pixels[start : start + height * width].reshape(height, width)
            start += height * width

    def grouped_ids(self) -> tuple[tuple[str, ...], ...]:
        """Return the sorted ids of each group's images; the groups are in the order of their first ids."""
        members: dict[int, list[str]] = {}
        for number, image_id in zip(self.groups or range(len(self.image_ids)), self.image_ids, strict=True):
            members.setdefault(number, []).append(image_id)
        return tuple(sorted(tuple(sorted(ids)) for ids in members.values()))

    def held_out_ids(self) -> tuple[tuple[str, ...], ...]:
        """Return the ids of what a cross-fit holds out together: the groups, or stretches of the only one there is.

        Stretches are images that follow each other by id, ten of them if there are as many images: frames of a film
        resemble the next frame most.
        """
        groups = self.grouped_ids()
        if len(groups) != 1:
            return groups
        ids = groups[0]
        number = min(STRETCHES, len(ids))
        bounds = [len(ids) * index // number for index in range(number + 1)]
        return tuple(ids[start:stop] for start, stop in pairwise(bounds))

    def photos_with_classes(self) -> np.ndarray:
        """Return in how many images each class is: int64 (classes,)."""
        photos = np.zeros(len(self.class_names), np.int64)
        for _, one in self.maps():
            photos += np.bincount(one.reshape(-1), minlength=256)[: len(photos)] > 0
        return photos

    def group_of_pixels(self) -> np.ndarray:
        """Return the group of each pixel as its index in `held_out_ids`: unsigned integers (pixels,)."""
        groups = self.held_out_ids()
        group_of = {image_id: index for index, ids in enumerate(groups) for image_id in ids}
        smallest = np.min_scalar_type(max(0, len(groups) - 1))
        indices = np.array([group_of[image_id] for image_id in self.image_ids], smallest)
        return np.repeat(indices, [height * width for height, width in self.sizes])


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write the file under a temporary name beside `path`, then rename it: it is there whole or not at all."""
    path = Path(path)
    # Named so that trainables.files sweeps what a killed process leaves, when something is written beside it next.
    owner = f"{re.sub(r'[^a-zA-Z0-9_]', '_', socket.gethostname())[:40]}-{os.getpid()}"
    temporary = path.with_name(f".{path.name[:60]}.{owner}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(_encode(predictions))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_predictions(path: str | Path, *, called: str | None = None) -> Predictions:
    """Return the predictions in the file. Raises PredictionsError, with its name, where a bit of it was changed."""
    data = Path(path).read_bytes()
    try:
        return _decode(data)
    except PredictionsError as error:
        raise PredictionsError(f"{called or path}: {error}; write it again from its trial") from error


def check_same_holdout(
    first: Predictions, second: Predictions, *, first_name: str = "first", second_name: str = "second"
) -> None:
    """Raise PredictionsError unless the pixels of two predictions may be voted on together.

    They may if both fingerprints, image ids, sizes and class names are the same, in the same order. Their groups say
    only which photos are drawn together, and may differ: see `with_joined_groups`.

    Args:
        first: The first predictions.
        second: The second predictions.
        first_name: What the message calls the first ones.
        second_name: What the message calls the second ones.
    """
    for key, words in _COMPARED.items():
        ours, theirs = getattr(first, key), getattr(second, key)
        if ours != theirs:
            # A fingerprint says only that there is a difference, and it has 64 characters.
            what = f"{ours[:12]!r} against {theirs[:12]!r}" if key == "fingerprint" else _difference(ours, theirs)
            raise PredictionsError(
                f"{first_name} and {second_name} differ in {words}, so their votes cannot be mixed: {what}; "
                "choose candidates of one holdout and one class map"
            )


def with_joined_groups(first: Predictions, second: Predictions) -> Predictions:
    """Return `first` with groups in which all photos are together that either of the two keeps together.

    Both are of the same holdout. Groups differ where one study found scenes that the other did not look for.
    """
    if first.grouped_ids() == second.grouped_ids():
        return first
    above = {image_id: image_id for image_id in first.image_ids}

    def leader(image_id: str) -> str:
        while above[image_id] != image_id:
            above[image_id] = image_id = above[above[image_id]]
        return image_id

    for ids in (*first.grouped_ids(), *second.grouped_ids()):
        for image_id in ids[1:]:
            above[leader(image_id)] = leader(ids[0])
    numbers: dict[str, int] = {}
    groups = tuple(numbers.setdefault(leader(image_id), len(numbers)) for image_id in first.image_ids)
    return replace(first, groups=groups)


def _difference(ours: str | tuple, theirs: str | tuple) -> str:
    if isinstance(ours, str) or len(ours) != len(theirs):
        sizes = (repr(ours), repr(theirs)) if isinstance(ours, str) else (len(ours), len(theirs))
        return f"{sizes[0]} against {sizes[1]}"
    index = next(number for number, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    return f"{ours[index]!r} against {theirs[index]!r} at index {index}"


def _check_names(predictions: Predictions) -> None:
    for key in ("image_ids", "class_names"):
        names = getattr(predictions, key)
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise PredictionsError(f"{key} must be a tuple of strings, not {str(names)[:80]}")
        if len(set(names)) < len(names):
            raise PredictionsError(f"{key} name one thing twice: {next(n for n in names if names.count(n) > 1)!r}")
    if not 1 <= len(predictions.class_names) <= 255:
        raise PredictionsError(f"there are {len(predictions.class_names)} class_names, but must be 1 to 255")
    for key in ("fingerprint", "edits"):
        if not isinstance(getattr(predictions, key), str):
            raise PredictionsError(f"{key} must be a string, not {getattr(predictions, key)!r}")
    groups = predictions.groups
    if not isinstance(groups, tuple) or not all(type(number) is int for number in groups):
        raise PredictionsError(f"groups must be a tuple of integers, not {str(groups)[:80]}")
    if len(groups) not in (0, len(predictions.image_ids)):
        raise PredictionsError(f"{len(groups)} groups for {len(predictions.image_ids)} image ids")
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
    highest = int(_highest_class(pixels))
    if highest >= num_classes:
        raise PredictionsError(f"pixels hold class id {highest}, but there are {num_classes} classes")


def _pixel_count(sizes: tuple[tuple[int, int], ...]) -> int:
    return sum(height * width for height, width in sizes)


def _encode(predictions: Predictions) -> bytes:
    runs = np.stack(_find_runs(np.asarray(predictions.pixels)))
    payload = zstandard.ZstdCompressor(level=3).compress(runs)
    content = {
        "image_ids": predictions.image_ids,
        "sizes": predictions.sizes,
        "groups": predictions.groups,
        "class_names": predictions.class_names,
        "fingerprint": predictions.fingerprint,
        "edits": predictions.edits,
        "runs": runs.shape[1],
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
        groups = tuple(header["groups"])
    except (TypeError, ValueError) as error:
        raise PredictionsError(f"its header is not what this format holds ({error})") from error
    pixels = _read_pixels(payload, header["runs"], sizes)
    return Predictions(image_ids, sizes, class_names, header["fingerprint"], pixels, header["edits"], groups)


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return header and payload after both were checked."""
    if data[: len(MAGIC)] != MAGIC:
        raise PredictionsError("not a predictions file (it does not begin with SEGVOTE)")
    if len(data) < PREFIX.size:
        raise PredictionsError(f"cut off after {len(data)} bytes")
    _, version, header_size, digest = PREFIX.unpack_from(data)
    if version not in (2, VERSION):
        raise PredictionsError(f"format version {version}, but this release reads versions 2 and {VERSION}")
    stop = PREFIX.size + header_size
    if len(data) < stop or hashlib.sha256(data[PREFIX.size : stop]).digest() != digest:
        raise PredictionsError("its header is damaged or cut off (checksum)")
    header = _parse_header(data[PREFIX.size : stop], version)
    payload = memoryview(data)[stop:]
    if len(payload) != header["payload_bytes"]:
        raise PredictionsError(f"{len(payload)} bytes of pixels, but the header says {header['payload_bytes']}")
    if hashlib.sha256(payload).hexdigest() != header["payload_sha256"]:
        raise PredictionsError("its pixels are damaged (checksum)")
    return header, payload


def _parse_header(header: bytes, version: int) -> dict[str, Any]:
    try:
        content = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise PredictionsError(f"its header is not JSON ({error})") from error
    expected = HEADER_KEYS - {"groups"} if version == 2 else HEADER_KEYS
    if not isinstance(content, dict) or set(content) != expected:
        raise PredictionsError(f"its header must have the keys {sorted(expected)}")
    return {"groups": [], **content}


def _read_pixels(payload: memoryview, runs: Any, sizes: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Return the pixels, uint8 (sum of height * width,).

    The counts that the header states are held against each other and against the payload's own before any memory is
    taken, so that a small file cannot claim the machine's memory by stating a large number.
    """
    pixel_count = _pixel_count(sizes)
    if min((side for size in sizes for side in size), default=1) < 1 or type(runs) is not int:
        raise PredictionsError(f"its header says {runs!r} runs of pixels in images of the sizes {str(sizes)[:80]}")
    if not runs <= pixel_count <= LONGEST * runs:
        raise PredictionsError(
            f"its header says {runs} runs of 1 to {LONGEST} pixels, which cannot fill the {pixel_count} pixels "
            "that the sizes of its images say"
        )
    try:
        return _fill_runs(*_read_runs(payload, runs), pixel_count)
    except MemoryError as error:
        raise PredictionsError(f"it states {pixel_count} pixels, more than this machine's memory holds") from error


def _read_runs(payload: memoryview, runs: int) -> np.ndarray:
    """Return classes and lengths, uint8 (2, runs)."""
    try:
        if zstandard.frame_content_size(payload) != 2 * runs:
            raise PredictionsError(f"its header says {runs} runs of pixels, but it has others")
        return np.frombuffer(zstandard.ZstdDecompressor().decompress(payload), np.uint8).reshape(2, runs)
    except zstandard.ZstdError as error:
        raise PredictionsError(f"its pixels cannot be decompressed ({error})") from error


def _find_runs(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return class and length of each run, uint8 (runs,); a run longer than LONGEST becomes several."""
    if pixels.size == 0:
        return np.zeros(0, np.uint8), np.zeros(0, np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(pixels[1:] != pixels[:-1]) + 1])
    parts, rest = np.divmod(np.diff(starts, append=pixels.size) - 1, LONGEST)
    lengths = np.full(int((parts + 1).sum()), LONGEST, np.uint8)
    lengths[np.cumsum(parts + 1) - 1] = rest + 1
    return np.repeat(pixels[starts], parts + 1), lengths


def _fill_runs(classes: np.ndarray, lengths: np.ndarray, pixel_count: int) -> np.ndarray:
    if lengths.sum(dtype=np.int64) != pixel_count:
        raise PredictionsError(
            f"its runs fill {lengths.sum(dtype=np.int64)} pixels, but the sizes of its images say {pixel_count}"
        )
    pixels = np.empty(pixel_count + LONGEST + 1, np.uint8)
    _write_runs(classes, lengths, pixels)
    return pixels[:pixel_count]


@compiled
def _write_runs(classes, lengths, pixels):  # pragma: no cover - compiled
    """Write the runs to `pixels`, which must have LONGEST + 1 more pixels than the runs."""
    # A run is written wider than it is, the next one over it: a number of stores that is known beforehand is several
    # times as fast as a loop of the run's length. Indices are unsigned, since signed ones may count from the end.
    start = np.uint64(0)
    for run in range(classes.size):
        class_id, length = classes[run], np.uint64(lengths[run])
        for offset in range(np.uint64(64)):
            pixels[start + offset] = class_id
        if length > np.uint64(64):
            for offset in range(np.uint64(64), np.uint64(256)):
                pixels[start + offset] = class_id
        start += length


@compiled
def _highest_class(pixels):  # pragma: no cover - compiled
    """Return the highest id other than 255 (no vote), or -1 where there is none."""
    # Adding one turns 255 into 0, so that one comparison a pixel is enough, and the processor makes 32 of them at once.
    highest = np.uint8(0)
    for pixel in pixels:
        highest = max(highest, np.uint8(pixel + np.uint8(1)))
    return np.int64(highest) - 1
