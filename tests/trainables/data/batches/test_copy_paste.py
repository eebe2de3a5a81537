"""Copy-paste: what is pasted, from where, and what it leaves alone."""

import random
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from tests import tiny
from tests.trainables.data.made import annotation, box, coco, image, write
from trainables.data import load_dataset
from trainables.data.batches.copy_paste import LARGEST, MOST, CopyPaste, paste
from trainables.training import Trainer

HEIGHT, WIDTH = 40, 60


def packed(*photos):
    """A stand-in for a packed cache: photos of one grey level each, with boxes (class id, y, x, height, width)."""
    images = np.zeros((len(photos), HEIGHT, WIDTH, 3), np.uint8)
    masks = np.zeros((len(photos), HEIGHT, WIDTH), np.uint8)
    for row, boxes in enumerate(photos):
        images[row] = 10 * row
        for class_id, y, x, height, width in boxes:
            masks[row, y : y + height, x : x + width] = class_id
            images[row, y : y + height, x : x + width] = 100 + 10 * row
    return SimpleNamespace(images=images, masks=masks)


BOX = (5, 5, 8, 8)


def pasted(cache, rows, samples=400, **more):
    """The classes that are in the class map of an empty photo after each of many samples."""
    policy = CopyPaste(cache, rows, first_class=1, seed=3, **more)
    empty = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    return [policy(*empty, sample) for sample in range(samples)]


def test_half_of_the_photos_get_objects_and_the_same_seed_the_same_ones():
    cache = packed([(1, *BOX)], [(2, *BOX)])
    first, again = pasted(cache, [0, 1]), pasted(cache, [0, 1])
    assert 0.4 < np.mean([mask.any() for _, mask in first]) < 0.6
    assert all(np.array_equal(a, b) and np.array_equal(c, d) for (a, c), (b, d) in zip(first, again))


def test_only_the_rows_that_are_trained_on_are_looked_at():
    cache = packed([(1, *BOX)], [(2, *BOX)], [(3, *BOX)])
    seen = {value for _, mask in pasted(cache, [0, 2]) for value in np.unique(mask).tolist()}
    assert seen == {0, 1, 3}
    levels = {value for image, _ in pasted(cache, [0, 2]) for value in np.unique(image).tolist()}
    assert max(levels) == 120
    assert 110 not in {int(image.max()) for image, mask in pasted(cache, [0, 2]) if 3 not in mask}


def test_rare_classes_are_drawn_more_often():
    cache = packed(*[[(1, *BOX)]] * 9, [(2, *BOX)])
    policy = CopyPaste(cache, range(10), first_class=1, seed=0)
    assert policy.classes == (1, 2)
    assert policy.chances == pytest.approx([1 / 9, 1])
    counts = Counter(value for _, mask in pasted(cache, range(10)) for value in np.unique(mask).tolist() if value)
    assert counts[2] > 2 * counts[1]


def test_the_photos_themselves_are_never_changed():
    cache = packed([(1, *BOX)], [(2, *BOX)])
    before = cache.images.copy(), cache.masks.copy()
    policy = CopyPaste(cache, [0, 1], first_class=1, seed=0)
    for sample in range(50):
        policy(cache.images[0], cache.masks[0], sample)
    assert np.array_equal(before[0], cache.images)
    assert np.array_equal(before[1], cache.masks)


def test_what_is_pasted_covers_what_was_there():
    cache = packed([(1, 0, 0, HEIGHT, WIDTH)], [(2, 5, 5, 12, 12)])
    policy = CopyPaste(cache, [1], first_class=1, seed=0)
    results = [policy(cache.images[0], cache.masks[0], sample) for sample in range(100)]
    hit = [(image, mask) for image, mask in results if (mask == 2).any()]
    assert hit
    for photo, mask in hit:
        assert set(np.unique(mask).tolist()) <= {1, 2}
        assert (photo[mask == 1] == 100).all()  # outside the object nothing is changed, not even softly
        assert (mask == 2).sum() <= MOST * (12 * 1.6 + 1) ** 2


class Central(random.Random):
    """Draws the middle of every range of whole numbers, so that an object lies in the middle of the photo."""

    def randrange(self, stop):
        return stop // 2


def test_a_resized_object_is_not_shifted_against_its_photo():
    """What looks the same in a mirror does so at every size."""
    stripes = np.tile(np.repeat([1, 0, 1, 0, 1], 3), (15, 1)).astype(np.uint8)
    for seed in range(20):
        mask = np.zeros((60, 60), np.uint8)
        paste(np.zeros((60, 60, 3), np.uint8), mask, np.zeros((15, 15, 3), np.uint8), stripes, 1, Central(seed))
        columns = np.flatnonzero(mask.any(axis=0))
        shown = mask[:, columns[0] : columns[-1] + 1]
        assert np.array_equal(shown, shown[:, ::-1])


def test_class_0_is_pasted_where_it_is_a_class():
    cache = packed([(1, *BOX)])
    cache.masks[0, 20:30, 20:30] = 0
    cache.masks[0][cache.masks[0] == 0] = 255
    cache.masks[0, 20:30, 20:30] = 0
    assert CopyPaste(cache, [0], first_class=1, seed=0).classes == (1,)
    assert CopyPaste(cache, [0], first_class=0, seed=0).classes == (0, 1)


def test_what_fills_the_frame_or_is_a_speck_is_not_pasted():
    side = int((LARGEST * HEIGHT * WIDTH) ** 0.5) + 2
    cache = packed([(1, 0, 0, side, side), (2, 38, 50, 2, 2)])
    assert not any(mask.any() for _, mask in pasted(cache, [0], samples=60))
    assert CopyPaste(cache, [0], first_class=1, seed=0).classes == (1,)
    assert not any(mask.any() for _, mask in pasted(packed([]), [0], samples=20))


@pytest.mark.parametrize("seed", range(20))
def test_objects_at_the_border_are_cut_off(seed):
    rng = random.Random(seed)
    image, mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    size = rng.randint(1, 90), rng.randint(1, 90)
    paste(image, mask, np.full((*size, 3), 200, np.uint8), np.ones(size, np.uint8), 7, rng)
    assert (mask == 7).any()
    assert image.max() <= 200
    assert (image[mask == 0] == 0).all()


@pytest.mark.parametrize(("fold", "seen"), [(0, {0, 1, 4}), (1, {0, 1, 3}), ("all", {0, 1, 3, 4})])
def test_a_trial_pastes_nothing_of_its_holdout_nor_of_the_fold_that_it_leaves_out(tmp_path, fold, seen):
    """The classes 2 (holdout), 3 (fold 0) and 4 (fold 1) are each in photos of one part alone."""
    classes = {1: 2, 2: 2, 3: 3, 4: 3, 5: 4, 6: 4, 7: 1, 8: 1}  # by image
    images = [image(number, f"{number}.png", 64, 48) for number in classes]
    shapes = [annotation(number, number, own, box(20, 15, 9, 9)) for number, own in classes.items()]
    categories = [{"id": number, "name": f"Class {number}"} for number in range(1, 5)]
    dataset = load_dataset(write(tmp_path / "data", train=coco(images, shapes, categories)))
    study = tiny.study_data(dataset, tmp_path / "cache")  # rows 0 and 1 are the holdout
    config = tiny.config(fold=fold, augmentation="copy_paste", image_size="64x48")
    batches = Trainer(config, study).batches
    found = {value for epoch in range(30) for _, masks in batches.epoch(epoch) for value in masks.unique().tolist()}
    assert found - {255} == seen
