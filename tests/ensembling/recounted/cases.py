"""Random class maps to select among, small and full of ties."""

import dataclasses
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    predictions: np.ndarray
    target: np.ndarray
    num_classes: int
    max_members: int
    ignore_index: int
    image_ids: np.ndarray
    seed: int


def random_case(seed, *, candidates=None, pixels=None):
    """Few pixels and classes, copies of candidates, abstentions, ignored pixels, classes that never occur."""
    rng = np.random.default_rng(seed)
    candidates = candidates or int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8], p=[0.05, 0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.05]))
    pixels = pixels if pixels is not None else int(rng.integers(0, 14))
    num_classes = int(rng.integers(1, 6))
    occurring = int(rng.integers(1, num_classes + 1))
    target = rng.integers(0, occurring, pixels).astype(np.uint8)
    predictions = np.where(
        rng.random((candidates, pixels)) < rng.choice([0.0, 0.4, 0.8]),
        target,
        rng.integers(0, num_classes, (candidates, pixels)),
    ).astype(np.uint8)
    predictions[rng.random(predictions.shape) < rng.choice([0.0, 0.0, 0.2, 0.7])] = 255
    if rng.random() < 0.3:
        predictions[rng.integers(candidates)] = predictions[rng.integers(candidates)]
    ignore_index = int(rng.choice([255, 255, 255, 0]))
    target[rng.random(pixels) < rng.choice([0.0, 0.2, 1.0], p=[0.5, 0.45, 0.05])] = ignore_index
    images = int(rng.integers(1, 8))
    return Case(
        predictions=predictions,
        target=target,
        num_classes=num_classes,
        max_members=int(rng.integers(1, candidates + 3)),
        ignore_index=ignore_index,
        image_ids=rng.integers(0, images, pixels) * 10,
        seed=int(rng.integers(3)),
    )


def assert_same(actual, desired):
    """Also where both are NaN, alone or in a dataclass."""
    if dataclasses.is_dataclass(actual):
        actual, desired = dataclasses.asdict(actual), dataclasses.asdict(desired)
    np.testing.assert_equal(actual, desired)
