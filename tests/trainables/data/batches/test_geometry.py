"""Zooming and rotating: photo and class map stay on each other, and both are what plain arithmetic says."""

import math

import albumentations as A
import cv2
import numpy as np
import pytest

from trainables.data.batches import geometry
from trainables.data.batches.geometry import CLASS_MAP, PHOTO, Zoom

HEIGHT, WIDTH = 48, 64
GROUND = (124, 116, 104)


def ramps() -> tuple[np.ndarray, np.ndarray]:
    """A photo whose red is four times the column and whose green is four times the row, and a map of its rows."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return np.stack([3 * columns, 4 * rows, 0 * rows + 9], axis=-1).astype(np.uint8), rows.astype(np.uint8)


def zoomed(image: np.ndarray, mask: np.ndarray, factor: float, place: tuple[float, float]) -> list[np.ndarray]:
    return [geometry.zoomed(pixels, how, factor, place) for pixels, how in ((image, PHOTO), (mask, CLASS_MAP))]


def turned(
    image: np.ndarray, mask: np.ndarray, degrees: float, factor: float, place: tuple[float, float]
) -> list[np.ndarray]:
    return [geometry.turned(pixels, how, factor, place, degrees) for pixels, how in ((image, PHOTO), (mask, CLASS_MAP))]


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.25, 2.0])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.3, 0.7), (0.999, 0.999)])
def test_a_zoom_shows_the_part_that_zooming_the_whole_photo_and_cropping_shows(factor, place):
    image, mask = ramps()
    found, found_mask = zoomed(image, mask, factor, place)
    whole = cv2.resize(image, (round(WIDTH * factor), round(HEIGHT * factor)), interpolation=cv2.INTER_LINEAR)
    if factor < 1:
        inside = np.argwhere(found_mask != 255)
        (top, left), (bottom, right) = inside.min(0), inside.max(0) + 1
        np.testing.assert_array_equal(found[top:bottom, left:right], whole)
        assert (found[found_mask == 255] == GROUND).all()
        assert (found_mask == 255).sum() == HEIGHT * WIDTH - whole.shape[0] * whole.shape[1]
    else:
        rows, columns = round(HEIGHT / factor), round(WIDTH / factor)
        top, left = (
            int(share * (length - kept + 1)) for share, length, kept in zip(place, mask.shape, (rows, columns))
        )
        cropped = whole[round(top * factor) :, round(left * factor) :][:HEIGHT, :WIDTH].astype(int)
        shown = found[: cropped.shape[0], : cropped.shape[1]].astype(int)
        assert np.abs(shown - cropped)[1:-2, 1:-2].max() <= 4  # a pixel of the photo: places are whole pixels of it
        assert set(np.unique(found_mask)) == set(range(top, top + rows))


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_without_an_angle_rotating_is_zooming(factor):
    image, mask = ramps()
    for place in ((0.5, 0.5), (0.1, 0.8)):
        (first, first_mask), (second, second_mask) = (
            zoomed(image, mask, factor, place),
            turned(image, mask, 0, factor, place),
        )
        inside = (first_mask != 255) & (second_mask != 255)
        assert inside.mean() > 0.95 * (first_mask != 255).mean()
        assert np.abs(first.astype(int) - second)[1:-1, 1:-1][inside[1:-1, 1:-1]].mean() < 4
        assert np.abs(first_mask.astype(int) - second_mask)[inside].max() <= 1


@pytest.mark.parametrize("degrees", [-20, 7.5, 20])
def test_a_rotation_is_about_the_centre_and_counterclockwise(degrees):
    image, mask = ramps()
    found, found_mask = turned(image, mask, degrees, 1.0, (0.5, 0.5))
    y, x = 30, 44
    angle = math.radians(degrees)
    dx, dy = x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2
    # Rows count downwards, so that a rotation which is seen as counterclockwise brings this point to (x, y).
    from_x = dx * math.cos(angle) - dy * math.sin(angle) + (WIDTH - 1) / 2
    from_y = dx * math.sin(angle) + dy * math.cos(angle) + (HEIGHT - 1) / 2
    np.testing.assert_allclose(found[y, x], (3 * from_x, 4 * from_y, 9), atol=1.5)
    assert found_mask[y, x] == round(from_y)
    assert (found_mask[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).any()


@pytest.mark.parametrize("degrees", [0, 15])
@pytest.mark.parametrize("factor", [0.55, 0.9, 1.3, 2.0])
def test_the_class_map_is_of_the_pixel_that_the_photo_shows(factor, degrees):
    image, mask = ramps()
    found, found_mask = (
        turned(image, mask, degrees, factor, (0.4, 0.6)) if degrees else zoomed(image, mask, factor, (0.4, 0.6))
    )
    inside = cv2.erode((found_mask != 255).astype(np.uint8), np.ones((3, 3)), borderValue=0).astype(bool)
    error = found[..., 1][inside] / 4 - found_mask[inside]
    assert abs(error.mean()) < 0.1  # no shift
    assert np.abs(error).max() <= 0.5 + 0.5 / 4 + 0.5


def test_the_transform_draws_factors_within_its_limits_and_turns_its_share():
    zoom = Zoom((0.5, 2.0), degrees=20, turned=0.5)
    zoom.set_random_seed(0)
    drawn = [zoom.get_params() for _ in range(200)]
    assert 0.5 <= min(one["factor"] for one in drawn) < 0.6
    assert 1.9 < max(one["factor"] for one in drawn) <= 2.0
    angles = [one["angle"] for one in drawn if one["angle"]]
    assert 75 < len(angles) < 125
    assert -20 <= min(angles) < -15
    assert 15 < max(angles) <= 20


def test_the_transform_moves_photo_and_class_map_alike_in_a_pipeline_of_others():
    image, mask = ramps()
    pipeline = A.Compose([A.HorizontalFlip(p=1), Zoom((0.5, 2.0), degrees=20, turned=0.5)], seed=0)
    for _ in range(20):
        result = pipeline(image=image, mask=mask)
        inside = cv2.erode((result["mask"] != 255).astype(np.uint8), np.ones((3, 3)), borderValue=0).astype(bool)
        assert np.abs(result["image"][..., 1][inside] / 4 - result["mask"][inside]).max() <= 0.5 + 0.5 / 4 + 0.5
