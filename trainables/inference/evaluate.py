"""Class maps and scores of a model on a split, at the resolution of the masks."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from trainables.data import PackedData
from trainables.hardware.precision import Precision
from trainables.hardware.prefetch import work_ahead
from trainables.inference.metrics import confusion_matrix

MOST_RESIZED = 1 << 26  # logits that are resized at once: 256 MiB of float32
BATCHES_AHEAD = 2  # batches of photos that are read and wait for the model


def predict_maps(
    model: nn.Module, packed: PackedData, rows: Sequence[int], *, batch_size: int, precision: Precision
) -> Iterator[tuple[int, Tensor]]:
    """Yield (row, class map) for each of `rows`, in order.

    The class map is uint8 (H, W) on the model's device, where H and W are those of the photo: logits are resized
    bilinearly (align_corners False) before the argmax, so that no mask is ever resized.

    Args:
        model: The model, on its device.
        packed: The decoded photos.
        rows: The rows to predict.
        batch_size: How many photos are predicted at once.
        precision: The number format in which the model computes.
    """
    for some, maps in _predict(model, packed, rows, batch_size, precision):
        yield from zip(some, maps)


def _predict(
    model: nn.Module, packed: PackedData, rows: Sequence[int], batch_size: int, precision: Precision
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield rows whose photos have one size, and their class maps uint8 (n, H, W).

    A thread reads the photos of the next batches while the device works on one.
    """
    model.eval()

    def read(batch: Sequence[int]) -> tuple[Sequence[int], Tensor]:
        images = precision.host_bytes((len(batch), *packed.images.shape[1:]))
        for image, row in zip(images.numpy(), batch):
            image[:] = packed.images[row]
        return batch, images

    with ThreadPoolExecutor(1) as pool:
        batches = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
        for batch, images in work_ahead(pool, read, batches, ahead=BATCHES_AHEAD):
            with torch.inference_mode(), precision.autocast():
                logits = model(model.normalize(precision.to_device(images).permute(0, 3, 1, 2)))
            for some in equal_runs([packed.sizes[row] for row in batch], logits):
                yield list(batch[some]), to_class_maps(logits[some], packed.sizes[batch[some.start]])


def equal_runs(sizes: Sequence[tuple[int, int]], logits: Tensor) -> Iterator[slice]:
    """Yield slices of consecutive photos of one size (H, W), whose logits (N, C, h, w) can be resized at once.

    On a CPU each slice has one photo, because the resized logits of several leave its caches.
    """
    start = 0
    for stop in range(1, len(sizes) + 1):
        height, width = sizes[start]
        resized = (stop + 1 - start) * logits.shape[1] * height * width
        full = logits.device.type == "cpu" or resized > MOST_RESIZED
        if full or stop == len(sizes) or sizes[stop] != sizes[start]:
            yield slice(start, stop)
            start = stop


def to_class_maps(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the most probable class of each pixel, uint8 (N, H, W), of logits (N, C, h, w) resized to `size` (H, W).

    For large photos a few classes are resized at a time, because all of them would take gigabytes.
    """
    classes = max(1, MOST_RESIZED // (len(logits) * size[0] * size[1]))
    highest, indices = _highest(logits[:, :classes], size)
    for start in range(classes, logits.shape[1], classes):
        other, other_indices = _highest(logits[:, start : start + classes], size)
        larger = other > highest  # of equal logits, the first class is kept
        highest, indices = torch.where(larger, other, highest), torch.where(larger, other_indices + start, indices)
    return indices


def _highest(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the highest logit (N, H, W) of each pixel, and its index uint8 (N, H, W)."""
    if tuple(logits.shape[-2:]) != tuple(size):
        logits = nn.functional.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
    # As argmax, the first of equal classes; on a CPU argmax takes up to ten times as long.
    highest, indices = logits.max(1)
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

    Args:
        model: The model, on its device.
        packed: The decoded photos and their masks.
        rows: The rows to score.
        num_classes: The number of classes.
        batch_size: How many photos are predicted at once.
        precision: The number format in which the model computes.
        keep: An array uint8 with as many elements as the rows have pixels, to which the class maps are written,
            flattened and one after another in the order of `rows`.
    """
    total = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=precision.device)
    position = 0
    for some, maps in _predict(model, packed, rows, batch_size, precision):
        target = precision.to_device(torch.from_numpy(np.stack([packed.full_mask(row) for row in some])))
        total += confusion_matrix(maps, target, num_classes)
        if keep is not None:
            keep[position : position + maps.numel()] = maps.flatten().cpu().numpy()
            position += maps.numel()
    return total
