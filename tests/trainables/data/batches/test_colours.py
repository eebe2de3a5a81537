"""Colours: hues rotate and luma stays, values saturate, and noise is of the strength that is drawn."""

import colorsys
import math

import albumentations as A
import numpy as np
import pytest

from trainables.data.batches.colours import Noise, Tint, tint


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


def test_a_tint_is_within_its_limits_and_saturates():
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    brighter = A.Compose([Tint(hue=16, saturation=0.3, value=15, p=1)], seed=0)
    added = []
    for _ in range(200):
        changed = brighter(image=image)["image"].reshape(-1, 3).astype(int)
        assert (np.ptp(changed, axis=1) <= 1).all()  # grey stays grey
        assert (np.diff(changed[:, 0]) >= 0).all()  # nothing wraps around
        added.append(changed[128, 0] - 128)
    assert -15 <= min(added) < -12
    assert 12 < max(added) <= 15


def test_noise_is_of_the_strength_that_is_drawn_and_differs_from_photo_to_photo():
    image = np.full((64, 64, 3), 128, np.uint8)
    noise = A.Compose([Noise((0.02, 0.08), p=1)], seed=0)
    changed = [noise(image=image)["image"] for _ in range(60)]
    deviations = [one.std() for one in changed]
    assert 0.02 * 255 - 0.3 < min(deviations) < 0.03 * 255
    assert 0.07 * 255 < max(deviations) < 0.08 * 255 + 0.3
    assert all(abs(one.mean() - 128) < 1 for one in changed)
    assert len({one.tobytes() for one in changed}) == len(changed)
