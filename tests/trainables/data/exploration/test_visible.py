"""Visible pixels against painting each annotation with a number of its own."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from trainables.data.annotations.annotation import Annotation
from trainables.data.annotations.masks import paint_mask
from trainables.data.exploration.visible import visible_pixels


def annotations(*masks):
    rles = [coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]
    return tuple(Annotation(place, 1, rle, float(coco_mask.area(rle))) for place, rle in enumerate(rles))


def painted(own, height, width):
    objects = [(one.segmentation, place) for place, one in enumerate(own)]
    class_map = paint_mask(objects, (height, width), fill=255)
    return np.bincount(class_map.ravel(), minlength=256)[: len(own)]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_counted_is_what_is_painted(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(5, 40, 2)
    masks = []
    for _ in range(rng.integers(1, 12)):
        mask = np.zeros((height, width), bool)
        top, left = rng.integers(0, height), rng.integers(0, width)
        mask[top : top + rng.integers(1, 20), left : left + rng.integers(1, 20)] = True
        masks.append(mask & (rng.random((height, width)) < rng.choice([0.5, 1.0])))
    own = annotations(*[mask for mask in masks if mask.any()])
    assert visible_pixels(own).tolist() == painted(own, height, width).tolist()


def test_equal_annotations_leave_the_earlier_nothing():
    mask = np.ones((4, 6), bool)
    assert visible_pixels(annotations(mask, mask)).tolist() == [0, 24]


def test_a_small_one_takes_from_the_large_one_below():
    large, small = np.ones((4, 6), bool), np.zeros((4, 6), bool)
    small[1:3, 2:4] = True
    assert visible_pixels(annotations(small, large)).tolist() == [4, 20]
    assert visible_pixels(()).tolist() == []
