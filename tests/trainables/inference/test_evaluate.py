"""Class maps and scores at the masks' own size."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from trainables.hardware.precision import Precision
from trainables.inference.evaluate import equal_runs, evaluate, predict_maps, to_class_maps

FP32 = Precision(torch.device("cpu"), torch.float32)


class RedChannelModel(nn.Module):
    """Logits (0, red - 100): class 1 where the photo is redder than 100."""

    def normalize(self, images):
        return images.float()

    def forward(self, images):
        red = images[:, :1] - 100
        return torch.cat([torch.zeros_like(red), red], dim=1)


def packed(reds, masks):
    """Photos with the given red channels, all of one size, and the masks, each of its own."""
    images = np.zeros((len(reds), *np.shape(reds[0]), 3), np.uint8)
    images[..., 0] = reds
    masks = [np.array(mask, np.uint8) for mask in masks]
    return SimpleNamespace(images=images, sizes=[mask.shape for mask in masks], full_mask=masks.__getitem__)


WIDE = [[[0, 200, 200]], [[200, 0, 0]], [[0, 0, 200]]]  # three photos of 1 x 3


def maps(data, rows, batch_size=2):
    return [
        (row, one.tolist())
        for row, one in predict_maps(RedChannelModel(), data, rows, batch_size=batch_size, precision=FP32)
    ]


def test_maps_come_in_the_order_of_the_rows():
    data = packed(WIDE, [[[0, 0, 0]]] * 3)
    assert maps(data, (2, 0)) == [(2, [[0, 0, 1]]), (0, [[0, 1, 1]])]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_the_batch_size_changes_nothing(batch_size):
    data = packed(WIDE, [[[0, 0, 0]]] * 3)
    assert maps(data, (0, 1, 2), batch_size) == [(0, [[0, 1, 1]]), (1, [[1, 0, 0]]), (2, [[0, 0, 1]])]


def test_logits_are_resized_to_the_photos_own_size_before_the_argmax():
    # Logits -100 and 50 in one row of two; at four times the width the pixel centres lie at 0 | 1/4 · 1/2 … between:
    # weights of the right one 0, 0, 1/8, 3/8, 5/8, 7/8, 1, 1, so it wins from (7/8)·50 - (1/8)·100 > 0 on.
    # Resizing the finished map would give 0 0 0 0 1 1 1 1.
    data = packed([[[0, 150]]], [[[0] * 8]])
    assert maps(data, (0,)) == [(0, [[0, 0, 0, 0, 0, 1, 1, 1]])]


def test_photos_of_different_sizes_are_scored_each_at_its_own():
    data = packed([[[0, 200]], [[200, 0]]], [[[0, 1]], [[1, 1, 0, 0], [1, 1, 0, 0]]])
    assert maps(data, (0, 1)) == [(0, [[0, 1]]), (1, [[1, 1, 0, 0], [1, 1, 0, 0]])]


def test_the_confusion_is_summed_over_the_rows_without_ignored_pixels():
    data = packed(WIDE, [[[0, 1, 0]], [[1, 255, 255]], [[1, 1, 1]]])
    confusion = evaluate(RedChannelModel(), data, (0, 1), num_classes=2, batch_size=2, precision=FP32)
    assert confusion.tolist() == [[1, 1], [0, 2]]  # rows target, columns prediction


def test_the_maps_are_kept_flat_in_the_order_of_the_rows():
    data = packed([[[0, 200]], [[200, 0]]], [[[0, 1]], [[1, 1, 0, 0], [1, 1, 0, 0]]])
    keep = np.full(10, 9, np.uint8)
    evaluate(RedChannelModel(), data, (1, 0), num_classes=2, batch_size=1, precision=FP32, keep=keep)
    assert keep.tolist() == [1, 1, 0, 0, 1, 1, 0, 0, 0, 1]


def test_models_are_evaluated_in_eval_mode():
    class Modes(RedChannelModel):
        def forward(self, images):
            assert not self.training
            return super().forward(images)

    model = Modes().train()
    assert len(list(predict_maps(model, packed(WIDE, [[[0, 0, 0]]] * 3), (0,), batch_size=1, precision=FP32))) == 1


def test_large_photos_are_resized_a_few_classes_at_a_time_to_the_same_map(monkeypatch):
    logits = torch.randn(2, 7, 6, 5, generator=torch.Generator().manual_seed(0)).round()  # with equal highest classes
    whole = to_class_maps(logits, (12, 10))
    assert whole.unique().tolist() == list(range(7))
    for classes in (1, 3, 6):
        monkeypatch.setattr("trainables.inference.evaluate.MOST_RESIZED", classes * 240)
        assert torch.equal(to_class_maps(logits, (12, 10)), whole)
        assert torch.equal(to_class_maps(logits, (6, 5)), logits.max(1).indices.to(torch.uint8))


def test_photos_of_one_size_in_a_row_are_resized_at_once_on_a_gpu(monkeypatch):
    """The limit on memory holds for all photos of a run together; on a CPU each photo is one."""
    sizes = [(4, 5), (4, 5), (4, 5), (9, 9), (4, 5)]
    for device, most, expected in (
        ("meta", 10**6, [(0, 3), (3, 4), (4, 5)]),
        ("meta", 2 * 20 * 3, [(0, 2), (2, 3), (3, 4), (4, 5)]),
        ("cpu", 10**6, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
    ):
        monkeypatch.setattr("trainables.inference.evaluate.MOST_RESIZED", most)
        logits = torch.zeros(5, 3, 2, 2, device=device)
        assert [(some.start, some.stop) for some in equal_runs(sizes, logits)] == expected
