"""Sequences: photos whose names differ in a number alone, and of which neighbours look alike."""

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

LEAST_FRAMES = 5
NEAR_FRAMES = 3
LEAST_SIMILARITY = 0.3
RANDOM_PAIRS = 4000
# Folders that say how a data set was divided, rather than what is in the photos.
_OF_A_SPLIT = {"images", "image", "img", "imgs", "photos", "jpegimages", "train", "training", "val", "valid"}
_OF_A_SPLIT |= {"validation", "test", "testing"}


def find_sequences(file_names: Sequence[str], descriptors: np.ndarray, seed: int = 0) -> list[list[int]]:
    """Return the sequences, each a list of indices in `file_names` in the order of the frames.

    Photos whose names differ in their last number alone are a series. It is a sequence if the median similarity of its
    neighbours is above LEAST_SIMILARITY, and above what nine in ten random pairs of the whole data set have that are
    not near each other in a series: numbered photos of unlike things are none, nor are those of a fixed camera. A
    sequence is one whole where several series have names of their own, since the names then tell which photos were
    taken together. Where all photos are one series, it is cut where two neighbours are no more similar than that:
    it may hold many short films.

    `descriptors` is float32 (n, CELLS, CELLS, BINS), of norm 1.
    """
    flat = descriptors.reshape(len(descriptors), -1)
    named = defaultdict(list)
    for index, name in enumerate(file_names):
        key = _series(name)
        if key is not None:
            named[key[0]].append((key[1], name, index))
    ordered = [[index for _, _, index in sorted(series)] for series in named.values()]
    bound = _similarity_by_chance(flat, ordered, seed)
    sequences = []
    for indices in ordered:
        if len(indices) < LEAST_FRAMES:
            continue
        neighbours = np.einsum("ij,ij->i", flat[indices[:-1]], flat[indices[1:]])
        if np.median(neighbours) <= bound:
            continue
        cuts = np.flatnonzero(neighbours <= bound) + 1 if len(named) == 1 else []
        sequences += [piece.tolist() for piece in np.split(np.array(indices), cuts) if len(piece) > 1]
    return sequences


def _series(name: str) -> tuple[str, int] | None:
    """Return the name without its last number and without folders of a split, and that number.

    Return None for a name without a number.
    """
    *folders, file = name.lower().replace("\\", "/").split("/")
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", file)
    if not match:
        return None
    kept = [folder for folder in folders if folder not in _OF_A_SPLIT]
    return "/".join([*kept, f"{match.group(1)}#{match.group(3)}"]), int(match.group(2))


def _similarity_by_chance(flat: np.ndarray, ordered: Sequence[Sequence[int]], seed: int) -> float:
    """Return the similarity that nine in ten random pairs stay below, and LEAST_SIMILARITY at least.

    Pairs of frames that are near each other in one series are left out.
    """
    series, frame = np.full(len(flat), -1), np.zeros(len(flat), np.int64)
    for number, indices in enumerate(ordered):
        series[indices], frame[indices] = number, np.arange(len(indices))
    pairs = np.random.default_rng(seed).integers(len(flat), size=(RANDOM_PAIRS, 2))
    of_one_series = (series[pairs[:, 0]] == series[pairs[:, 1]]) & (series[pairs[:, 0]] >= 0)
    near = of_one_series & (np.abs(frame[pairs[:, 0]] - frame[pairs[:, 1]]) <= NEAR_FRAMES)
    pairs = pairs[~near & (pairs[:, 0] != pairs[:, 1])]
    similarity = np.einsum("ij,ij->i", flat[pairs[:, 0]], flat[pairs[:, 1]])
    return max(LEAST_SIMILARITY, float(np.percentile(similarity, 90))) if len(similarity) else LEAST_SIMILARITY
