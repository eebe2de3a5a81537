"""Class maps and scores of a model on a split, at the resolution of the masks."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trainables.data import PackedData
from trainables.hardware.precision import Precision
from trainables.inference.metrics import confusion_matrix

MOST_RESIZED = 1 << 26  # logits that are resized at once: 256 MiB of float32


def predict_maps(
    model: nn.Module, packed: PackedData, rows: Sequence[int], *, batch_size: int, precision: Precision
) -> Iterator[tuple[int, Tensor]]:
    """Yield (row, class map) for each of `rows`, in order.

    The class map is uint8 (H, W) on the model's device, where H and W are those of the photo: logits are resized
    bilinearly (align_corners False) before the argmax, so that no mask is ever resized.
    """
    model.eval()
    for start in range(0, len(rows), batch_size):
        batch = list(rows[start : start + batch_size])
        images = precision.to_device(torch.from_numpy(np.stack([packed.images[row] for row in batch])))
        with torch.inference_mode(), precision.autocast():
            logits = model(model.normalize(images.permute(0, 3, 1, 2)))
        for row, one in zip(batch, logits):
            yield row, to_class_map(one, packed.sizes[row])


def to_class_map(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the most probable class of each pixel, uint8 (H, W), of logits (C, h, w) resized to `size` (H, W).

    For large photos a few classes are resized at a time, because all of them would take gigabytes.
    """
    classes = max(1, MOST_RESIZED // (size[0] * size[1]))
    highest, indices = _highest(logits[:classes], size)
    for start in range(classes, len(logits), classes):
        other, other_indices = _highest(logits[start : start + classes], size)
        larger = other > highest  # of equal logits, the first class is kept
        highest, indices = torch.where(larger, other, highest), torch.where(larger, other_indices + start, indices)
    return indices


def _highest(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the highest logit (H, W) of each pixel, and its index uint8 (H, W)."""
    if tuple(logits.shape[-2:]) != tuple(size):
        logits = nn.functional.interpolate(logits[None].float(), size=size, mode="bilinear", align_corners=False)[0]
    # As argmax, the first of equal classes; on a CPU argmax takes up to ten times as long.
    highest, indices = logits.max(0)
    return highest, indices.to(torch.uint8)


def evaluate(
    model: nn.Module,
    packed: PackedData,
    rows: Sequence[int],
    *,
    num_classes: int,
    batch_size: int,
    precision: Precision,
    keep: np.ndarray | None = None,
) -> Tensor:
    """Return the confusion matrix int64 (num_classes, num_classes) summed over `rows`: rows target, columns prediction.

    Where `keep` is given, a uint8 array with as many elements as the rows have pixels, the class maps are written to
    it, flattened and one after another in the order of `rows`.
    """
    total = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=precision.device)
    position = 0
    for row, class_map in predict_maps(model, packed, rows, batch_size=batch_size, precision=precision):
        target = precision.to_device(torch.from_numpy(np.array(packed.full_mask(row))))
        total += confusion_matrix(class_map, target, num_classes)
        if keep is not None:
            keep[position : position + class_map.numel()] = class_map.flatten().cpu().numpy()
            position += class_map.numel()
    return total
