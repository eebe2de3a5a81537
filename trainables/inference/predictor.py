"""Predictor: a trained model that turns photos into class maps, with photos decoded while the model computes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from trainables.config import TrialConfig
from trainables.data.photo_list import Photo
from trainables.data.photos.photo_files import PhotoError, decode_at_sizes, resize_photo, usable_threads
from trainables.errors import UserError
from trainables.hardware.out_of_memory import is_out_of_memory, run_in_memory
from trainables.hardware.precision import choose_precision
from trainables.hardware.prefetch import work_ahead
from trainables.inference.evaluate import to_class_map
from trainables.inference.tta import TestTimeAugmentation, window_corners, window_weights
from trainables.models import build_model

DECODED_BATCHES = 2  # batches that may wait for the model


class Predictor:
    """One model on this machine's device that predicts class maps.

    The probabilities of all `views` are averaged; then each pixel gets its most probable class. Raises UserError where
    the weights cannot be read, or belong to another model or number of classes.
    """

    def __init__(
        self,
        config: TrialConfig,
        weights: Path,
        *,
        num_classes: int,
        views: TestTimeAugmentation | None = None,
        batch_size: int = 0,
    ) -> None:
        self.config, self.views = config, views or TestTimeAugmentation()
        self.batch_size = batch_size or config.batch_size
        self._at_once = self.batch_size
        self.precision = choose_precision(config.precision)
        model = load_model(config, weights, num_classes)
        self.model = self.precision.place(model, channels_last=config.channels_last)

    def class_maps(self, photos: Sequence[Photo]) -> Iterator[np.ndarray]:
        """Yield the class map uint8 (H, W) of each photo, in order and at the photo's own size.

        Photos are decoded a few batches ahead of the model. Raises UserError for a photo that cannot be decoded.
        """
        waiting: list[Tensor] = []
        for batch, images in self._decoded(photos):
            with torch.inference_mode():  # not around the yield, where the mode would also hold for the caller
                maps = self._fitting_maps([photo.size for photo in batch], images)
            # The device works on this batch while the one before is fetched from it.
            yield from (one.cpu().numpy() for one in waiting)
            waiting = maps
        yield from (one.cpu().numpy() for one in waiting)

    def class_map(self, image: np.ndarray) -> np.ndarray:
        """Return the class map uint8 (H, W) of one image uint8 (H, W, 3), RGB, that is in memory."""
        size = image.shape[:2]
        with torch.inference_mode():
            return self._fitting_maps([size], [resize_photo(image, self._sizes(size))])[0].cpu().numpy()

    def _decoded(self, photos: Sequence[Photo]) -> Iterator[tuple[list[Photo], list[list[np.ndarray]]]]:
        """Yield batches of photos, and for each photo its pixels at all sizes."""
        pool = ThreadPoolExecutor(usable_threads())
        try:
            ahead = work_ahead(pool, self._decode, photos, ahead=(DECODED_BATCHES + 1) * self.batch_size)
            for start in range(0, len(photos), self.batch_size):
                batch = list(photos[start : start + self.batch_size])
                yield batch, list(islice(ahead, len(batch)))
        finally:
            pool.shutdown(cancel_futures=True)

    def _decode(self, photo: Photo) -> list[np.ndarray]:
        try:
            return decode_at_sizes(photo.path.read_bytes(), photo.size, self._sizes(photo.size))
        except OSError as error:
            raise UserError(
                f"{photo.path} cannot be read ({error.strerror}): restore it and run the command again"
            ) from error
        except PhotoError as error:
            raise UserError(f"{photo.path} {error}: restore it or leave it out, and run the command again") from error

    def _sizes(self, size: tuple[int, int]) -> list[tuple[int, int]]:
        """Return the (height, width) at which a photo of that size is predicted, one for each scale."""
        training = self.config.size
        base, least = training, 0.0
        if self.views.window:  # at its own size, but at least as large as a window
            base, least = size, max(side / length for side, length in zip(training, size))
        factors = [max(scale, least) for scale in self.views.scales]
        return [tuple(max(1, round(length * factor)) for length in base) for factor in factors]

    def _fitting_maps(self, sizes: list[tuple[int, int]], images: list[list[np.ndarray]]) -> list[Tensor]:
        """Return what `_maps` does. Where memory runs out, half as many photos are predicted at once from then on."""

        def maps(at_once: int) -> list[Tensor]:
            parts = [slice(start, start + at_once) for start in range(0, len(sizes), at_once)]
            return [one for part in parts for one in self._maps(sizes[part], images[part])]

        try:
            found, self._at_once = run_in_memory(maps, self._at_once)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            height, width = max(sizes, key=lambda size: size[0] * size[1])
            raise UserError(
                f"{self.config.head} on {self.config.backbone} runs out of memory with a single photo of up to "
                f"{width}x{height} with {self.views}: take fewer or smaller scales, or --window"
            ) from error
        return found

    def _maps(self, sizes: list[tuple[int, int]], images: list[list[np.ndarray]]) -> list[Tensor]:
        """Return class maps uint8 (H, W) on the device."""
        if self.views.plain:
            logits = self._logits(self._to_device([one[0] for one in images]))
            return [to_class_map(one, size) for one, size in zip(logits, sizes)]
        totals = self._blended(sizes, images) if self.views.window else self._averaged(sizes, images)
        return [to_class_map(total, size) for total, size in zip(totals, sizes)]

    def _averaged(self, sizes: list[tuple[int, int]], images: list[list[np.ndarray]]) -> Iterator[Tensor]:
        """Yield, for each photo, the sum over all views of the probabilities float32 (C, H, W), at its own size.

        The whole batch is predicted at each scale. Logits are resized before the softmax.
        """
        seen = [self._unmirrored(self._logits(self._mirrored(of_scale))) for of_scale in zip(*images)]
        for number, size in enumerate(sizes):
            yield sum(_resize(logits[:, number].float(), size).softmax(1).sum(0) for logits in seen)

    def _blended(self, sizes: list[tuple[int, int]], images: list[list[np.ndarray]]) -> Iterator[Tensor]:
        """Yield what `_averaged` does, from windows, whose probabilities are resized."""
        for size, scales in zip(sizes, images):
            seen = (self._unmirrored(self._windows(self._mirrored([image])))[:, 0] for image in scales)
            yield sum(_resize(probabilities, size).sum(0) for probabilities in seen)

    def _mirrored(self, images: Sequence[np.ndarray]) -> Tensor:
        """Return images uint8 (N, 3, h, w) on the device; with `flip`, followed by their mirror images."""
        looks = self._to_device(images)
        return torch.cat([looks, looks.flip(-1)]) if self.views.flip else looks

    def _unmirrored(self, seen: Tensor) -> Tensor:
        """Return predictions for `_mirrored` images, (views * photos, C, h, w), as (views, photos, C, h, w).

        The predictions of mirror images are mirrored back.
        """
        views = seen.unflatten(0, (2 if self.views.flip else 1, -1))
        return torch.stack([views[0], views[1].flip(-1)]) if self.views.flip else views

    def _windows(self, looks: Tensor) -> Tensor:
        """Return probabilities (N, C, h, w) of images (N, 3, h, w).

        They are weighted means over windows of the training size.
        """
        window = self.config.size
        weights = torch.from_numpy(window_weights(window)).to(looks.device)
        corners = window_corners(looks.shape[-2:], window, self.views.overlap)
        places = [(number, y, x) for number in range(len(looks)) for y, x in corners]
        total, weight = None, torch.zeros(looks.shape[-2:], device=looks.device)
        for y, x in corners:
            weight[y : y + window[0], x : x + window[1]] += weights
        for start in range(0, len(places), self.batch_size):
            some = places[start : start + self.batch_size]
            crops = torch.stack([looks[number, :, y : y + window[0], x : x + window[1]] for number, y, x in some])
            for (number, y, x), seen in zip(some, self._logits(crops).float().softmax(1) * weights):
                if total is None:
                    total = seen.new_zeros(len(looks), len(seen), *looks.shape[-2:])
                total[number, :, y : y + window[0], x : x + window[1]] += seen
        return total / weight

    def _logits(self, images: Tensor) -> Tensor:
        with self.precision.autocast():
            images = self.model.normalize(images)
            if self.config.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            return self.model(images)

    def _to_device(self, images: Sequence[np.ndarray]) -> Tensor:
        return self.precision.to_device(torch.from_numpy(np.stack(images))).permute(0, 3, 1, 2)


def load_model(config: TrialConfig, weights: Path, num_classes: int) -> nn.Module:
    """Return the trained model in evaluation mode, on the CPU. Raises UserError where the weights do not fit it."""
    model = build_model(
        head=config.head,
        backbone=config.backbone,
        num_classes=num_classes,
        pretrained=False,
        image_size=config.size,
        dropout=config.dropout,
    )
    try:
        model.load_state_dict(safetensors.torch.load_file(weights))
    except (OSError, SafetensorError) as error:
        raise UserError(f"{weights} cannot be read ({error}): restore it, or train the trial again") from error
    except RuntimeError as error:  # names are missing or unexpected, or tensors have other shapes
        reason = str(error).splitlines()[1].strip() if len(str(error).splitlines()) > 1 else str(error)
        raise UserError(
            f"{weights} does not hold a {config.head} on {config.backbone} with {num_classes} classes: {reason}"
        ) from error
    return model.eval()


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps float32 (N, C, h, w) resized bilinearly to (N, C, *size)."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return nn.functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
