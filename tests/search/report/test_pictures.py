"""Pictures of class maps: colours that can be told apart, laid over the photo."""

from types import SimpleNamespace

import numpy as np
import pytest

from ensembling import Predictions
from search.report.pictures import (
    CHANGES,
    LEGEND_HEIGHT,
    TILE,
    changed_pixels,
    fitted,
    holdout_picture,
    overlay,
    palette,
)


@pytest.mark.parametrize(("classes", "background"), [(2, True), (11, True), (11, False), (60, False)])
def test_every_class_has_a_colour_of_its_own(classes, background):
    colours = palette(classes, background=background)
    assert (colours.shape, colours.dtype) == ((256, 3), np.uint8)
    assert len({tuple(colour) for colour in colours[:classes].tolist()}) == classes
    assert (colours[0].tolist() == [0, 0, 0]) is background


# What eyes without one kind of cones see of linear RGB (Machado et al. 2009, severity 1).
EYES = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colours, eyes):
    """CIELAB of sRGB colours (N, 3) as those eyes see them."""
    part = colours / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(eyes).T, 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503]]
    )
    xyz = seen @ to_xyz.T / to_xyz.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=-1)


@pytest.mark.parametrize("eyes", EYES)
def test_colour_blind_people_tell_the_first_eleven_classes_apart(eyes):
    colours = palette(11, background=True)[[*range(11), 255]].astype(float)
    seen = lab(colours, EYES[eyes])
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[np.triu_indices(12, 1)]
    assert apart.min() > 20  # 2.3 can just be told apart side by side


def test_a_class_has_the_same_colour_in_every_picture():
    assert (palette(30, background=True)[1:5] == palette(5, background=False)[1:5]).all()


def test_changed_pixels_are_painted_by_what_the_change_did():
    photo = np.full((1, 5, 3), 100, np.uint8)
    target = np.array([[1, 1, 1, 1, 255]], np.uint8)
    before = np.array([[1, 1, 0, 2, 0]], np.uint8)
    after = np.array([[1, 0, 1, 0, 1]], np.uint8)
    painted = changed_pixels(photo, target, before, after)[0].tolist()
    assert painted[0] == painted[4] == [150, 150, 150]
    assert painted[1:4] == [list(CHANGES[kind]) for kind in ("right to wrong", "wrong to right", "wrong to wrong")]


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


@pytest.mark.parametrize(("size", "shape"), [((3, 2000), (1, 256)), ((2000, 3), (256, 1)), ((20, 10), (256, 128))])
def test_a_long_narrow_photo_has_a_picture(size, shape):
    """Without one its trial would have no verdict: the picture is drawn before that is written."""
    assert fitted(np.zeros(size, np.uint8), size, TILE).shape == shape
    assert fitted(np.zeros((32, 48, 3), np.uint8), size, TILE).shape == (*shape, 3)
