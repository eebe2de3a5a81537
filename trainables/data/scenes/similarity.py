"""How alike two photos are: a cheap descriptor to find pairs by, and an alignment that tells whether they are one.

The descriptor is a coarse histogram of oriented gradients (Dalal and Triggs, "Histograms of Oriented Gradients for
Human Detection", CVPR 2005). It finds candidates alone: two bottles on white paper are alike to it. A pair is one photo
if, once an affine map has moved the one onto the other (Evangelidis and Psarakis, "Parametric Image Alignment Using
Enhanced Correlation Coefficient Maximization", PAMI 2008), their contours correlate, be they mirrored or turned by a
quarter.
"""

from collections import Counter

import cv2
import numpy as np

SIDE = 64  # pixels of a thumbnail, in both directions
CELLS, BINS = 8, 8
TURNS = 8  # a square's: by 0 to 3 quarters, as it is and in the mirror
ALIKE = 0.6  # similarity of descriptors, below which two photos are no candidates
SAME = 0.93  # correlation after alignment, from which two photos are one
MOST_CANDIDATES = 3  # of a photo
_BLOCK = 2048
_STEPS = 20


def describe(thumbnail: np.ndarray) -> np.ndarray:
    """Return the descriptor of a thumbnail, uint8 (SIDE, SIDE): float32 (CELLS, CELLS, BINS), of norm 1."""
    grey = cv2.GaussianBlur(thumbnail.astype(np.float32), (0, 0), 1.0)
    down, right = np.gradient(grey)
    strength = np.hypot(right, down)
    angle = (np.arctan2(down, right) / (2 * np.pi) * BINS) % BINS
    lower = np.floor(angle)
    share = angle - lower
    maps = np.zeros((SIDE, SIDE, BINS), np.float32)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    maps[rows, columns, lower.astype(int) % BINS] = strength * (1 - share)
    maps[rows, columns, (lower.astype(int) + 1) % BINS] += strength * share
    # The blur lets a contour that crosses a cell's border count in both cells.
    cells = cv2.resize(cv2.GaussianBlur(maps, (0, 0), 3.0), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    norms = np.linalg.norm(cells, axis=2, keepdims=True)
    cells = cells / (norms + 0.25 * np.sqrt(np.mean(norms**2)) + 1e-6)
    cells -= cells.mean(axis=(0, 1))
    return cells / (np.linalg.norm(cells) + 1e-6)


def turned(photos: np.ndarray, turn: int) -> np.ndarray:
    """Return thumbnails (…, SIDE, SIDE) turned by `turn` quarters; from 4 on, mirrored first and turned by the rest."""
    return np.rot90(photos if turn < 4 else photos[..., ::-1], turn % 4, axes=(-2, -1))


def turned_descriptors(descriptors: np.ndarray, turn: int) -> np.ndarray:
    """Return the descriptors (n, CELLS, CELLS, BINS) of photos that `turned` turns, without a look at the photos."""
    quarters, bins = turn % 4, np.arange(BINS)
    if turn >= 4:  # a gradient to the right is one to the left in the mirror
        descriptors = descriptors[:, :, ::-1, (BINS // 2 - bins) % BINS]
    # np.rot90 turns against the clock, so that what pointed right points up; rows count downwards, as do angles.
    return np.rot90(descriptors, quarters, axes=(1, 2))[..., (bins + quarters * BINS // 4) % BINS]


def candidates(descriptors: np.ndarray) -> list[tuple[float, int, int, int]]:
    """Return the pairs of photos that may be one: similarity, turn, and two rows, the most similar pairs first.

    `descriptors` is float32 (n, CELLS, CELLS, BINS). A pair has a similarity of ALIKE or more, and is among the
    MOST_CANDIDATES most similar ones of its first photo. The similarity of all pairs is a product of matrices, block by
    block.
    """
    flat = descriptors.reshape(len(descriptors), -1)
    found: list[tuple[float, int, int, int]] = []
    for turn in range(TURNS):
        others = np.ascontiguousarray(turned_descriptors(descriptors, turn)).reshape(len(flat), -1)
        for start in range(0, len(flat), _BLOCK):
            similarity = flat[start : start + _BLOCK] @ others[start:].T
            first, second = np.nonzero(np.triu(similarity >= ALIKE, 1))
            values = similarity[first, second]
            order = np.lexsort((-values, first))
            rank = np.arange(len(order)) - np.searchsorted(first[order], first[order])
            found += [
                (float(values[pair]), turn, int(start + first[pair]), int(start + second[pair]))
                for pair in order[rank < MOST_CANDIDATES]
            ]
    found.sort(key=lambda pair: (-pair[0], *pair[1:]))
    of_first: Counter[int] = Counter()
    kept = []
    for pair in found:
        of_first[pair[2]] += 1
        if of_first[pair[2]] <= MOST_CANDIDATES:
            kept.append(pair)
    return kept


def contours(thumbnail: np.ndarray) -> np.ndarray:
    """Return what is finer than an eighth of the photo, with the contrast of its surroundings made even: float32."""
    grey = cv2.GaussianBlur(thumbnail.astype(np.float32), (0, 0), 0.8)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 4.0)
    return fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 4.0)) + 4.0)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two photos' contours once the second was moved onto the first; -1 if that fails."""
    shift = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _STEPS, 1e-3)
    try:
        return float(cv2.findTransformECC(one, other, shift, cv2.MOTION_AFFINE, stop, None, 5)[0])
    except cv2.error:  # the two do not overlap any more: they are different photos
        return -1.0
