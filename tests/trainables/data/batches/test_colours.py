"""Colours: hues rotate and luma stays, values saturate, and noise and blur are of the strength that is drawn."""

import colorsys
import math
import random

import numpy as np
import pytest

from trainables.data.batches.colours import Colours, gamma_table, soften, tint


def test_a_hue_rotates_and_luma_and_grey_stay():
    luma = np.array([0.299, 0.587, 0.114])
    colour = np.array([150.0, 90.0, 60.0])
    changed = tint(math.radians(16), 1.0) @ colour
    assert luma @ changed == pytest.approx(luma @ colour, abs=0.1)
    before, after = (360 * colorsys.rgb_to_hsv(*one / 255)[0] for one in (colour, changed))
    assert 5 < abs((after - before + 180) % 360 - 180) < 30
    np.testing.assert_allclose(tint(1.0, 0.5) @ [77, 77, 77], [77, 77, 77], atol=0.1)


def test_saturation_is_a_factor_of_the_distance_from_grey():
    colour = np.array([150.0, 90.0, 60.0])
    grey = np.array([0.299, 0.587, 0.114]) @ colour
    np.testing.assert_allclose(tint(0.0, 0.7) @ colour - grey, 0.7 * (colour - grey), atol=0.1)
    np.testing.assert_allclose(tint(0.0, 1.0), np.eye(3), atol=1e-12)


def test_brightness_and_contrast_are_within_their_limits_and_saturate():
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    colours = Colours(1.0, brightness=0.25, contrast=0.25)
    darkest, brightest = 255, 0
    for seed in range(200):
        changed = colours.change(image, random.Random(seed)).reshape(-1, 3)
        assert (changed[:, :1] == changed).all()
        assert (np.diff(changed[:, 0].astype(int)) >= 0).all()  # nothing wraps around
        darkest, brightest = min(darkest, changed[128, 0]), max(brightest, changed[128, 0])
    assert 128 * 0.75 - 64 - 1 <= darkest < 60
    assert 200 < brightest <= 128 * 1.25 + 64 + 1


def test_without_chance_a_photo_is_itself():
    image = np.zeros((4, 4, 3), np.uint8)
    assert Colours(0.0, brightness=1, contrast=1, hue=9, gamma=(2, 2)).change(image, random.Random(0)) is image


def test_gamma_keeps_the_ends_and_the_order():
    table = gamma_table(0.5)
    assert (table[0], table[255], table[64]) == (0, 255, 128)
    assert (np.diff(table.astype(int)) >= 0).all()
    np.testing.assert_array_equal(gamma_table(1.0), np.arange(256))


def test_soften_blurs_or_adds_noise_that_differs_from_photo_to_photo():
    image = np.full((64, 64, 3), 128, np.uint8)
    image[:, 32:] = 90
    deviations, noises, blurred = [], [], 0
    for seed in range(60):
        softened = soften(image, random.Random(seed)).astype(int)
        if softened[:, :16].std():
            deviations.append((softened - image)[:, :16].std())
            noises.append(softened.tobytes())
        else:
            blurred += 1
            assert 90 < softened[0, 32, 0] < 128
    assert 15 < blurred < 45
    assert 0.02 * 255 - 0.3 < min(deviations) < max(deviations) < 0.08 * 255 + 0.3
    assert len(set(noises)) == len(noises)
