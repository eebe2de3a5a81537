"""Pictures of class maps: colours that can be told apart, laid over the photo."""

from types import SimpleNamespace

import numpy as np
import pytest

from ensembling import Predictions
from search.report.pictures import LEGEND_HEIGHT, TILE, holdout_picture, overlay, palette


@pytest.mark.parametrize(("classes", "background"), [(2, True), (11, True), (11, False), (60, False)])
def test_every_class_has_a_colour_of_its_own(classes, background):
    colours = palette(classes, background=background)
    assert (colours.shape, colours.dtype) == ((256, 3), np.uint8)
    assert len({tuple(colour) for colour in colours[:classes].tolist()}) == classes
    assert (colours[0].tolist() == [0, 0, 0]) is background


def test_neighbouring_classes_are_far_apart():
    colours = palette(11, background=True).astype(int)
    assert min(np.abs(colours[one] - colours[one + 1]).sum() for one in range(1, 10)) > 150


def test_ignored_pixels_are_white():
    assert palette(3, background=True)[255].tolist() == [255, 255, 255]


def test_classes_tint_the_photo_and_background_leaves_it():
    photo = np.full((1, 3, 3), 100, np.uint8)
    colours = palette(2, background=True)
    colours[1] = (200, 0, 50)
    painted = overlay(photo, np.array([[0, 1, 255]], np.uint8), colours)
    assert painted.dtype == np.uint8
    assert painted.tolist() == [[[100, 100, 100], [160, 40, 70], [193, 193, 193]]]  # 40 % photo, 60 % colour


def made(sizes, image_size=(8, 8)):
    """Grey photos of which only the first row is shown in each picture, and their predictions: all class 1."""
    images = np.full((len(sizes), *image_size, 3), 100, np.uint8)
    masks = [np.zeros(size, np.uint8) for size in sizes]
    packed = SimpleNamespace(images=images, sizes=sizes, full_mask=masks.__getitem__)
    predictions = Predictions(
        image_ids=tuple(f"{row}.png" for row in range(len(sizes))),
        sizes=tuple(sizes),
        class_names=("Background", "Paper"),
        fingerprint="f",
        pixels=np.ones(sum(height * width for height, width in sizes), np.uint8),
    )
    return packed, predictions


def sheet(sizes, **how):
    packed, predictions = made(sizes)
    return np.asarray(holdout_picture(packed, range(len(sizes)), predictions, ("Background", "Paper"), **how))


def test_photo_target_and_prediction_stand_side_by_side():
    image = sheet([(8, 8)])
    assert image.shape == (TILE + 4 + 2 * LEGEND_HEIGHT, 3 * TILE, 3)
    centre = [image[TILE // 2, TILE * tile + TILE // 2].tolist() for tile in range(3)]
    colour = palette(2, background=True)[1]
    assert centre == [[100] * 3, [100] * 3, (100 * 0.4 + colour * 0.6).astype(int).tolist()]


@pytest.mark.parametrize(("photos", "count", "strips"), [(1, 4, 1), (3, 4, 3), (9, 4, 4), (9, 2, 2)])
def test_a_few_photos_are_shown(photos, count, strips):
    assert sheet([(8, 8)] * photos, count=count).shape[0] == strips * (TILE + 4) + 2 * LEGEND_HEIGHT


def test_photos_keep_their_shape():
    image = sheet([(8, 16), (16, 8)])
    assert image.shape == (TILE // 2 + 4 + TILE + 4 + 2 * LEGEND_HEIGHT, 3 * TILE, 3)
    assert image[TILE // 2 + 4 + 10, 3 * (TILE // 2) + 10].tolist() == [0, 0, 0]  # beside the narrow one


def test_first_and_last_photo_are_among_those_shown():
    packed, predictions = made([(8, 8)] * 7)
    for row in range(7):
        packed.images[row] = 10 * row
    image = np.asarray(holdout_picture(packed, range(7), predictions, ("Background", "Paper"), count=3))
    assert [int(image[strip * (TILE + 4) + 9, 9, 0]) for strip in range(3)] == [0, 30, 60]


def test_every_class_is_in_the_legend():
    names = ("Background", *(f"class {number}" for number in range(1, 12)))
    packed, predictions = made([(8, 8)])
    image = np.asarray(holdout_picture(packed, [0], predictions, names))
    legend = {tuple(colour) for colour in image[TILE + 4 :].reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in palette(12, background=True)[:12].tolist()} <= legend
