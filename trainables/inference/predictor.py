"""Predictor: a trained model that turns photos into class maps, with photos decoded while the model computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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
from trainables.hardware.cuda_graphs import GraphedPass
from trainables.hardware.out_of_memory import is_out_of_memory, run_in_memory
from trainables.hardware.precision import choose_precision
from trainables.inference.evaluate import equal_runs, to_class_maps
from trainables.inference.tta import TestTimeAugmentation, window_corners, window_weights
from trainables.models import build_model

DECODED_BATCHES = 2  # batches that may wait for the model
MOST_ENLARGED = 4.0  # how many times a small photo's sides are enlarged alike to reach the size of a window


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
        self._logits = GraphedPass(self._model_logits)

    def class_maps(self, photos: Sequence[Photo]) -> Iterator[np.ndarray]:
        """Yield the class map uint8 (H, W) of each photo, in order and at the photo's own size.

        Photos are decoded a few batches ahead of the model by threads, and the device works on the next batch while the
        class maps of one are copied from it. Raises UserError for a photo that cannot be decoded.
        """
        waiting: deque[list[Callable[[], np.ndarray]]] = deque()
        for sizes, images in self._decoded(photos):
            with torch.inference_mode():  # not around the yield, where the mode would also hold for the caller
                waiting.append([self.precision.fetch(maps) for maps in self._fitting_maps(sizes, images)])
            if len(waiting) > 1:
                yield from (one for maps in waiting.popleft() for one in maps())
        yield from (one for batch in waiting for maps in batch for one in maps())

    def class_map(self, image: np.ndarray) -> np.ndarray:
        """Return the class map uint8 (H, W) of one image uint8 (H, W, 3), RGB, that is in memory."""
        size = image.shape[:2]
        with torch.inference_mode():
            images = [torch.from_numpy(np.array(one))[None] for one in resize_photo(image, self._sizes(size))]
            return self._fitting_maps([size], images)[0][0].cpu().numpy()

    def _decoded(self, photos: Sequence[Photo]) -> Iterator[tuple[list[tuple[int, int]], list[Tensor]]]:
        """Yield, for each batch, the photos' sizes (H, W) and, for each scale, their pixels uint8 (N, h, w, 3).

        With windows a batch has one photo, because only then need the photos of a batch not have one size.
        """
        threads, at_once = usable_threads(), 1 if self.views.window else self.batch_size
        pool = ThreadPoolExecutor(threads)
        begun: deque[_Batch] = deque()
        try:
            for start in range(0, len(photos), at_once):
                begun.append(self._begin(pool, photos[start : start + at_once]))
                if len(begun) > max(DECODED_BATCHES, threads // at_once):
                    yield begun.popleft().wait()
            while begun:
                yield begun.popleft().wait()
        finally:
            pool.shutdown(cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, photos: Sequence[Photo]) -> "_Batch":
        """Let the pool's threads decode photos, each into its row of the batch."""
        sizes = [photo.size for photo in photos]
        images = [self.precision.host_bytes((len(photos), *size, 3)) for size in self._sizes(sizes[0])]
        rows = ([pixels.numpy()[index] for pixels in images] for index in range(len(photos)))
        return _Batch(sizes, images, [pool.submit(self._decode, photo, row) for photo, row in zip(photos, rows)])

    def _decode(self, photo: Photo, rows: list[np.ndarray]) -> None:
        """Decode a photo into `rows`, uint8 (h, w, 3), one for each scale."""
        try:
            decoded = decode_at_sizes(photo.path.read_bytes(), photo.size, [row.shape[:2] for row in rows])
        except OSError as error:
            raise UserError(
                f"{photo.path} cannot be read ({error.strerror}): restore it and run the command again"
            ) from error
        except PhotoError as error:
            raise UserError(f"{photo.path} {error}: restore it or leave it out, and try again") from error
        for row, pixels in zip(rows, decoded):
            row[:] = pixels

    def _sizes(self, size: tuple[int, int]) -> list[tuple[int, int]]:
        """Return the (height, width) at which a photo of that size is predicted, one for each scale.

        With windows that is its own size, enlarged where a side is shorter than a window. Its shape is kept unless it
        is so narrow that this takes more than MOST_ENLARGED: then its short side alone is stretched to the window's. A
        photo of 1x4000 pixels would otherwise become one of 512x2048000.
        """
        training = self.config.size
        if not self.views.window:
            return [tuple(max(1, round(length * scale)) for length in training) for scale in self.views.scales]
        least = min(MOST_ENLARGED, max(side / length for side, length in zip(training, size)))
        factors = [max(scale, least) for scale in self.views.scales]
        return [tuple(max(side, round(length * factor)) for side, length in zip(training, size)) for factor in factors]

    def _fitting_maps(self, sizes: list[tuple[int, int]], images: list[Tensor]) -> list[Tensor]:
        """Return what `_maps` does. Where memory runs out, half as many photos are predicted at once from then on."""

        def maps(at_once: int) -> list[Tensor]:
            parts = [slice(start, start + at_once) for start in range(0, len(sizes), at_once)]
            return [some for part in parts for some in self._maps(sizes[part], [one[part] for one in images])]

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

    def _maps(self, sizes: list[tuple[int, int]], images: list[Tensor]) -> list[Tensor]:
        """Return the photos' class maps uint8 (n, H, W) on the device: a tensor for each run of photos of one size."""
        if self.views.plain:
            logits = self._logits(self._to_device(images[0]))
            return [to_class_maps(logits[some], sizes[some.start]) for some in equal_runs(sizes, logits)]
        seen: Iterable[list[Tensor]] = (self._unmirrored(self._seen(self._mirrored(one))) for one in images)
        if self.views.window:  # of one photo, whose scales are added one after another
            return [to_class_maps(self._summed(seen, slice(0, 1), sizes[0]), sizes[0])]
        seen = list(seen)
        runs = equal_runs(sizes, seen[0][0])
        return [to_class_maps(self._summed(seen, some, sizes[some.start]), sizes[some.start]) for some in runs]

    def _seen(self, looks: Tensor) -> Tensor:
        return self._windows(looks) if self.views.window else self._logits(looks)

    def _summed(self, seen: Iterable[list[Tensor]], some: slice, size: tuple[int, int]) -> Tensor:
        """Return the sum of the probabilities float32 (n, C, H, W) of `some` photos over all views, at their own size.

        `seen` are for each scale, and there for a photo and its mirror image, probabilities (N, C, h, w) from windows,
        which are resized, or else logits, which are resized before the softmax.
        """
        # The views of one scale are added first: other orders round otherwise.
        return _added(_added(self._probabilities(view[some], size) for view in of_scale) for of_scale in seen)

    def _probabilities(self, view: Tensor, size: tuple[int, int]) -> Tensor:
        resized = _resize(view.float(), size)
        return resized if self.views.window else resized.softmax(1)

    def _mirrored(self, images: Tensor) -> Tensor:
        """Return images uint8 (N, 3, h, w) on the device; with `flip`, followed by their mirror images."""
        looks = self._to_device(images)
        return torch.cat([looks, looks.flip(-1)]) if self.views.flip else looks

    def _unmirrored(self, seen: Tensor) -> list[Tensor]:
        """Return predictions for `_mirrored` images, (views * photos, C, h, w), as (photos, C, h, w) for each view.

        The predictions of mirror images are mirrored back.
        """
        if not self.views.flip:
            return [seen]
        plain, mirrored = seen.chunk(2)
        return [plain, mirrored.flip(-1)]

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

    def _model_logits(self, images: Tensor) -> Tensor:
        with self.precision.autocast():
            images = self.model.normalize(images)
            if self.config.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            return self.model(images)

    def _to_device(self, images: Tensor) -> Tensor:
        """Return images uint8 (N, h, w, 3) as (N, 3, h, w) in channels last on the device."""
        return self.precision.to_device(images).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class _Batch:
    """Photos that are being decoded."""

    sizes: list[tuple[int, int]]
    images: list[Tensor]
    decoding: list[Future]

    def wait(self) -> tuple[list[tuple[int, int]], list[Tensor]]:
        for one in self.decoding:
            one.result()
        return self.sizes, self.images


def _added(tensors: Iterable[Tensor]) -> Tensor:
    """Return the sum of tensors that nothing else needs, in the memory of the first."""
    total = None
    for one in tensors:
        total = one if total is None else total.add_(one)
    return total


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
