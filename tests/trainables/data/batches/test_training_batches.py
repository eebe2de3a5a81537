"""Batches: who sees which photo when depends on seed and epoch alone."""

import numpy as np
import pytest
import torch

from trainables.data.batches.training_batches import TrainingBatches, sample_seed

ROWS = (2, 3, 4, 5, 6, 7)
SIZE = (32, 48)


def batches(study, rows=ROWS, **changes):
    how = {"batch_size": 2, "augmentation": "none", "size": SIZE, "seed": 0, "workers": 0, "pin_memory": False}
    return TrainingBatches(study.open(SIZE), rows, **{**how, **changes})


def rows_seen(study, batch):
    """The rows of the photos in a batch of unaugmented images."""
    photos = study.open(SIZE).images
    return [
        next(row for row in range(len(photos)) if np.array_equal(photos[row], image.permute(1, 2, 0)))
        for image in batch[0]
    ]


def epoch_order(study, batches, number):
    return [rows_seen(study, batch) for batch in batches.epoch(number)]


def test_an_epoch_shows_every_photo_once(study):
    order = epoch_order(study, batches(study), 0)
    assert [len(batch) for batch in order] == [2, 2, 2]
    assert sorted(row for batch in order for row in batch) == list(ROWS)


def test_photos_and_masks_come_together(study):
    packed = study.open(SIZE)
    images, masks = next(batches(study).epoch(0))
    assert (images.shape, images.dtype) == ((2, 3, 32, 48), torch.uint8)
    assert (masks.shape, masks.dtype) == ((2, 32, 48), torch.uint8)
    for row, mask in zip(rows_seen(study, (images, masks)), masks):
        assert np.array_equal(packed.masks[row], mask)


def test_the_order_changes_with_the_epoch_and_the_seed(study):
    ours = batches(study)
    first = epoch_order(study, ours, 0)
    assert epoch_order(study, ours, 1) != first
    assert epoch_order(study, batches(study, seed=1), 0) != first


def test_an_epoch_is_the_same_whatever_came_before(study):
    """What a resumed trial depends on."""
    walked = batches(study, augmentation="light")
    for number in (0, 1):
        list(walked.epoch(number))
    for (images, masks), (same_images, same_masks) in zip(
        walked.epoch(2), batches(study, augmentation="light").epoch(2), strict=True
    ):
        assert torch.equal(images, same_images)
        assert torch.equal(masks, same_masks)


def test_a_photo_is_augmented_anew_in_each_epoch(study):
    ours = batches(study, rows=(2,), batch_size=1, augmentation="light")
    (first, _), (second, _) = next(ours.epoch(0)), next(ours.epoch(1))
    assert not torch.equal(first, second)


def test_two_small_batches_hold_the_photos_of_one_large(study):
    small, large = batches(study, batch_size=2), batches(study, batch_size=6)
    (expected,) = epoch_order(study, large, 3)
    assert [row for batch in epoch_order(study, small, 3) for row in batch] == expected


@pytest.mark.parametrize(
    ("rows", "batch_size", "expected"),
    [(6, 4, [4]), (6, 3, [3, 3]), (5, 2, [2, 2]), (3, 8, [3]), (1, 1, [1])],
)
def test_a_short_batch_is_left_out_unless_it_is_the_only_one(study, rows, batch_size, expected):
    ours = batches(study, rows=ROWS[:rows], batch_size=batch_size)
    assert len(ours) == len(expected)
    assert [len(images) for images, _ in ours.epoch(0)] == expected


def test_seeds_of_samples_differ_in_every_part_and_never_change():
    assert sample_seed(0, 0, 1) == 3244544281
    assert len({sample_seed(seed, epoch, row) for seed in range(5) for epoch in range(5) for row in range(5)}) == 125
