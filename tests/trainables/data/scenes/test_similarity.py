"""One photo is known again whatever was done to the file; others are not taken for it."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.scenes.pictures import picture
from trainables.data.scenes.similarity import (
    SAME,
    SIDE,
    TURNS,
    candidates,
    contours,
    correlation,
    describe,
    turned,
    turned_descriptors,
)


def thumbnail(photo: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def as_jpeg(photo: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


CHANGES = {
    "a JPEG of low quality": lambda photo: as_jpeg(photo, 25),
    "a third of the size": lambda photo: cv2.resize(photo, (85, 85), interpolation=cv2.INTER_AREA),
    "another shape": lambda photo: cv2.resize(photo, (320, 180), interpolation=cv2.INTER_AREA),
    "brighter": lambda photo: np.clip(photo.astype(float) + 40, 0, 255).astype(np.uint8),
    "darker": lambda photo: (photo * 0.6).astype(np.uint8),
    "cropped": lambda photo: photo[10:240, 15:250],
    "mirrored": lambda photo: np.ascontiguousarray(photo[:, ::-1]),
    "upside down": lambda photo: np.ascontiguousarray(photo[::-1]),
    "turned to the left": lambda photo: np.ascontiguousarray(np.rot90(photo)),
    "turned to the right": lambda photo: np.ascontiguousarray(np.rot90(photo, 3)),
    "mirrored and turned": lambda photo: np.ascontiguousarray(np.rot90(photo[:, ::-1])),
    "mirrored and turned back": lambda photo: np.ascontiguousarray(np.rot90(photo[:, ::-1], 3)),
    "turned by half": lambda photo: np.ascontiguousarray(np.rot90(photo, 2)),
}


def best_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """What the pair reaches among its candidates; -1 where it is none."""
    thumbnails = [thumbnail(one), thumbnail(other)]
    found = candidates(np.stack([describe(each) for each in thumbnails]))
    scores = [
        correlation(contours(thumbnails[a]), contours(np.ascontiguousarray(turned(thumbnails[b], turn))))
        for _, turn, a, b in found
    ]
    return max(scores, default=-1.0)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_changed_copy_is_known_again(change, seed):
    photo = picture(seed)
    assert best_correlation(photo, CHANGES[change](photo)) >= SAME


@pytest.mark.parametrize("background", [None, 255, 120])
def test_other_photos_are_not_the_same_also_on_one_background(background):
    photos = [picture(seed, background=background) for seed in range(12)]
    assert max(best_correlation(one, other) for n, one in enumerate(photos) for other in photos[:n]) < SAME - 0.05


@pytest.mark.parametrize("turn", range(TURNS))
def test_descriptors_are_turned_as_the_photos_are(turn):
    photo = thumbnail(picture(5))
    of_turned = describe(np.ascontiguousarray(turned(photo, turn)))
    turned_of = turned_descriptors(describe(photo)[None], turn)[0]
    assert turned_of == pytest.approx(of_turned, abs=0.02)


def test_the_turns_are_all_different():
    photo = thumbnail(picture(5))
    assert len({np.ascontiguousarray(turned(photo, turn)).tobytes() for turn in range(TURNS)}) == TURNS


def test_candidates_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 512))
    flat = centres[rng.integers(0, 40, 300)] + 0.6 * rng.normal(size=(300, 512))
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    found = candidates(flat.reshape(-1, 8, 8, 8).astype(np.float32))
    expected = {(a, b) for a in range(300) for b in range(a + 1, 300) if flat[a] @ flat[b] >= 0.6}
    assert {(a, b) for _, turn, a, b in found if turn == 0} <= expected
    assert {a for a, _ in expected} == {a for _, _, a, _ in found}
