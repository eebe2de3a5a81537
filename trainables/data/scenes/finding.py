"""The scenes of a data set: declared, found in names, and found in the pixels; computed once and kept in the cache."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from trainables.data.dataset import Dataset, ImageRecord
from trainables.data.photos.photo_files import PhotoError, decode_photo, usable_threads
from trainables.data.scenes.declared import join_declared
from trainables.data.scenes.scenes import Joined, Scenes
from trainables.data.scenes.sequences import find_sequences
from trainables.data.scenes.similarity import SAME, SIDE, candidates, contours, correlation, describe, turned
from trainables.errors import DamagedFileError, UserError
from trainables.files import read_json, write_json

_VERSION = 1
_AT_ONCE = 256  # pairs whose alignment is computed before the pairs that they settle are left out
_GREY = np.array([0.299, 0.587, 0.114], np.float32)

Progress = Callable[[int, int], None]


def find_scenes(
    dataset: Dataset,
    *,
    group_by: str | None = None,
    cache_dir: Path | str | None = None,
    progress: Progress | None = None,
) -> Scenes:
    """Return the scene of each photo of the data set.

    Photos are one scene if the files say so (see `join_declared`), if they are near-duplicates (the same photo at
    another quality, size, brightness or crop, mirrored or turned), or if they are frames of one sequence (photos with
    numbered names, whose neighbours look alike). Sequences are not looked for among photos that were declared to be of
    some group. A photo that cannot be decoded is judged by its file alone; packing reports it.

    Args:
        dataset: The data set.
        group_by: A regular expression on file names, whose match names a photo's scene.
        cache_dir: The directory that keeps the answer, so that the photos are decoded once; None keeps nothing.
        progress: A function that is called with the number of photos looked at and of all.

    Raises:
        UserError: `group_by` is impossible, or the cache cannot be written.
    """
    joined, reasons = join_declared(dataset.images, group_by)
    kept = None if cache_dir is None else Path(cache_dir) / f"scenes-v{_VERSION}-{_key(dataset, group_by)}.json"
    known = _read(kept, len(dataset.images))
    if known is not None:
        return known
    rows, thumbnails = _thumbnails(dataset.images, progress)
    descriptors = np.stack([describe(one) for one in thumbnails]) if rows else np.zeros((0, 1, 1, 1), np.float32)
    sequences = _sequences(dataset.images, rows, descriptors, reasons)
    settled = Joined()
    for sequence in sequences:
        for row in sequence[1:]:
            settled.join(sequence[0], row)
    reasons["frames of a sequence"] = sum(map(len, sequences))
    alike = {row for pair in _same_photos(thumbnails, descriptors, rows, joined, settled) for row in pair}
    reasons["the same picture"] = len(alike)
    scenes = _scenes(len(dataset.images), joined, sequences, +reasons)
    _write(kept, scenes)
    return scenes


def _key(dataset: Dataset, group_by: str | None) -> str:
    """Return a text of 32 characters that differs as soon as anything differs that the scenes depend on."""
    lines = [[image.file_name, image.sha256, image.group] for image in dataset.images]
    return hashlib.sha256(json.dumps([group_by, lines]).encode()).hexdigest()[:32]


def _thumbnails(images: Sequence[ImageRecord], progress: Progress | None) -> tuple[list[int], list[np.ndarray]]:
    """Return the indices of the photos that can be decoded, and each of them in grey: uint8 (SIDE, SIDE)."""

    def thumbnail(image: ImageRecord) -> np.ndarray | None:
        try:
            photo = decode_photo(image.path.read_bytes(), (image.height, image.width), (SIDE, SIDE))
        except (OSError, PhotoError):
            return None
        return (photo @ _GREY).astype(np.uint8)

    found = {}
    with ThreadPoolExecutor(usable_threads()) as pool:
        for index, one in enumerate(pool.map(thumbnail, images)):
            if one is not None:
                found[index] = one
            if progress is not None:
                progress(index + 1, len(images))
    return list(found), list(found.values())


def _sequences(
    images: Sequence[ImageRecord], rows: Sequence[int], descriptors: np.ndarray, reasons: Counter[str]
) -> list[list[int]]:
    """Return the sequences among the photos without a declared group, as lists of rows."""
    if "--group-by" in reasons:
        return []
    free = [index for index, row in enumerate(rows) if not images[row].group]
    if len(free) < 2:
        return []
    found = find_sequences([images[rows[index]].file_name for index in free], descriptors[free])
    return [[rows[free[index]] for index in sequence] for sequence in found]


def _same_photos(
    thumbnails: Sequence[np.ndarray], descriptors: np.ndarray, rows: Sequence[int], joined: Joined, settled: Joined
) -> Iterator[tuple[int, int]]:
    """Join the rows that show one picture, and yield them pair by pair; those of one sequence are told apart no more.

    Two frames of a sequence that are near-duplicates are in one scene already, and stretches that it may be cut into
    have neighbours that are alike wherever the cut is.
    """
    if not rows:
        return
    pairs = candidates(descriptors)
    with ThreadPoolExecutor(usable_threads()) as pool:
        for start in range(0, len(pairs), _AT_ONCE):
            open_pairs = [
                (turn, one, other)
                for _, turn, one, other in pairs[start : start + _AT_ONCE]
                if joined.leader(rows[one]) != joined.leader(rows[other])
                and settled.leader(rows[one]) != settled.leader(rows[other])
            ]
            scores = pool.map(lambda pair: _similarity(thumbnails, *pair), open_pairs)
            for (_, one, other), score in zip(open_pairs, scores):
                if score >= SAME:
                    joined.join(rows[one], rows[other])
                    yield rows[one], rows[other]


def _similarity(thumbnails: Sequence[np.ndarray], turn: int, one: int, other: int) -> float:
    # The thumbnail is turned, not its contours: it is their blur that would have to be turned, too.
    return correlation(contours(thumbnails[one]), contours(np.ascontiguousarray(turned(thumbnails[other], turn))))


def _scenes(count: int, joined: Joined, sequences: Sequence[Sequence[int]], reasons: Counter[str]) -> Scenes:
    parts = joined.numbers(range(count))
    for sequence in sequences:
        for row in sequence[1:]:
            joined.join(sequence[0], row)
    return Scenes(joined.numbers(range(count)), parts, tuple(reasons.items()))


def _read(kept: Path | None, count: int) -> Scenes | None:
    if kept is None or not kept.exists():
        return None
    try:
        scenes = Scenes.from_dict(read_json(kept))
    except (OSError, ValueError, KeyError, TypeError, DamagedFileError):
        return None
    return scenes if len(scenes.of_row) == len(scenes.parts) == count else None


def _write(kept: Path | None, scenes: Scenes) -> None:
    if kept is None:
        return
    try:
        write_json(kept, scenes.to_dict())
    except OSError as error:
        raise UserError(f"cannot write to the cache {kept.parent} ({error}): choose another directory") from error
