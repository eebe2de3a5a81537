"""The project's Trainer on photos that lie in the device's memory: augmented there, a whole batch at a time.

What the Trainer does elsewhere through files and loader processes would take most of the time at this size.
"""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.benchmarks.recording.designs import Design
from trainables.config import TrialConfig
from trainables.data.annotations.masks import IGNORE_INDEX
from trainables.data.batches.training_batches import sample_seed, steps_per_epoch
from trainables.data.folds.splits import Splits
from trainables.inference.metrics import confusion_matrix
from trainables.training import NonFiniteError, Trainer

GROUND = 115.0  # what lies around a photo: a grey near the mean colour
ZOOM = {"light": (0.75, 1.5), "photometric": (0.5, 2.0), "strong": (0.5, 2.0)}
COLOURS = {"light": (0.15, 0.0, 0.5), "photometric": (0.25, 0.3, 0.5), "strong": (0.25, 0.3, 0.8)}
"""Of brightness and contrast, of saturation: the largest change; and how likely each is."""
AT_ONCE = 128  # photos predicted


class DeviceBatches:
    """What TrainingBatches yields, from tensors: images float32 (N, 3, H, W) in 0..255, masks uint8 (N, H, W).

    The policies of trainables/data/batches/policies.py in the main: zoom, flip, rotation, brightness, contrast and
    saturation, and noise; gamma, hue and blur are left out.
    """

    def __init__(self, images: Tensor, masks: Tensor, config: TrialConfig) -> None:
        self._images, self._masks, self._config = images, masks, config

    def __len__(self) -> int:
        return steps_per_epoch(len(self._images), self._config.effective_batch)

    @property
    def photos_per_epoch(self) -> int:
        return min(len(self._images), len(self) * self._config.effective_batch)

    def begin(self, number: int) -> None:
        """Do nothing: what TrainingBatches has its loader's processes load beforehand is in memory here."""

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng((self._config.seed, number))
        order = rng.permutation(len(self._images))[: self.photos_per_epoch]
        device = self._images.device
        torch.manual_seed(sample_seed(self._config.seed, number))
        views = torch.from_numpy(_views(rng, len(order), self._config)).to(device)
        colours = torch.from_numpy(_colours(rng, len(order), self._config.augmentation)).to(device)
        rows = torch.from_numpy(order).to(device)
        for start in range(0, len(order), self._config.effective_batch):
            part = slice(start, start + self._config.effective_batch)
            images, masks = self._images[rows[part]].float(), self._masks[rows[part]]
            if self._config.augmentation != "none":
                images, masks = _seen(images, masks, views[part])
            if self._config.augmentation in COLOURS:
                images = _coloured(images, colours[part])
            if self._config.augmentation == "strong":
                images += 8 * torch.randn_like(images)
            yield images, masks


def _views(rng: np.random.Generator, count: int, config: TrialConfig) -> np.ndarray:
    """Affine maps float32 (count, 2, 3) from what is seen to the photo, in coordinates of -1..1."""
    height, width = config.size
    low, high = ZOOM.get(config.augmentation, (1.0, 1.0))
    span = 1 / rng.uniform(low, high, count)
    turns = (rng.random(count) < 0.5) * (config.augmentation == "strong")
    angle = np.deg2rad(rng.uniform(-20, 20, count)) * turns
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    shift = rng.uniform(-1, 1, (count, 2)) * abs(1 - span)[:, None]
    views = np.empty((count, 2, 3), np.float32)
    views[:, 0, 0], views[:, 0, 1] = mirror * span * np.cos(angle), -span * np.sin(angle) * height / width
    views[:, 1, 0], views[:, 1, 1] = mirror * span * np.sin(angle) * width / height, span * np.cos(angle)
    views[:, :, 2] = shift
    return views


def _seen(images: Tensor, masks: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
    grid = F.affine_grid(views, list(images.shape), align_corners=False)
    seen = F.grid_sample(images - GROUND, grid, align_corners=False) + GROUND
    # Zero is what lies outside of the photo: labels are moved so that it means "ignored".
    labels = masks[:, None].float() - IGNORE_INDEX
    labels = F.grid_sample(labels, grid, mode="nearest", align_corners=False)[:, 0] + IGNORE_INDEX
    return seen, labels.round().to(torch.uint8)


def _colours(rng: np.random.Generator, count: int, policy: str) -> np.ndarray:
    """Float32 (count, 3, 1, 1, 1): what is added, of contrast and saturation the factor."""
    tone, saturation, likely = COLOURS.get(policy, (0.0, 0.0, 0.0))
    change = rng.uniform(-1, 1, (count, 3)) * [255 * tone, tone, saturation]
    change[:, :2] *= rng.random((count, 1)) < likely
    change[:, 2] *= rng.random(count) < likely
    return (change + np.array([0, 1, 1])).astype(np.float32)[..., None, None, None]


def _coloured(images: Tensor, colours: Tensor) -> Tensor:
    grey = images.mean(1, keepdim=True)
    images = grey + colours[:, 2] * (images - grey)
    return (images * colours[:, 1] + colours[:, 0]).clamp(0, 255)


class RecordingTrainer(Trainer):
    """Trains a configuration on a design's photos, and predicts the design's outputs."""

    def __init__(self, config: TrialConfig, design: Design) -> None:
        self._design = design
        study = SimpleNamespace(
            open=lambda size, edits: design,
            open_pseudo=lambda size: None,
            pseudo=None,
            scored=True,
            class_names=design.class_names,
            num_classes=len(design.class_names),
            splits=Splits(tuple(design.holdout), (tuple(design.train),), (), 0),
            training_rows=lambda fold, edits: tuple(design.train),
        )
        super().__init__(config, study)
        self._holdout_images = self._on_device(design.images[design.holdout])
        self._holdout_target = self._on_device(design.masks[design.holdout])
        for group in self.optimizer.param_groups:  # one kernel instead of dozens
            group["fused"], group["foreach"] = True, False

    def _build_batches(self, workers: int) -> DeviceBatches:
        images, masks = self._design.images[self._design.train], self._design.masks[self._design.train]
        images = self._on_device(images).permute(0, 3, 1, 2).contiguous()
        return DeviceBatches(images, self._on_device(masks), self.config)

    def maps_of(self, images: np.ndarray) -> np.ndarray:
        """Return class maps uint8 (N, H, W) of images uint8 (N, H, W, 3)."""
        return self.class_maps(self._on_device(images)).cpu().numpy()

    def _on_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.precision.device)

    def _confusion(self, rows: tuple[int, ...], keep: np.ndarray | None) -> Tensor:
        maps = self.class_maps(self._holdout_images)
        # On the CPU, where each figure that is read of it does not wait for the device again.
        return confusion_matrix(maps, self._holdout_target, self.study.num_classes).cpu()

    @torch.inference_mode()
    def class_maps(self, images: Tensor) -> Tensor:
        """Return class maps uint8 (N, H, W), on the device, of images uint8 (N, H, W, 3) on it."""
        model = self.evaluated_model.eval()
        maps = []
        for start in range(0, len(images), AT_ONCE):
            some = images[start : start + AT_ONCE].permute(0, 3, 1, 2)
            with self.precision.autocast():
                maps.append(model(model.normalize(some.contiguous())).argmax(1).to(torch.uint8))
        return torch.cat(maps)


class OutOfTimeError(RuntimeError):
    """The recording ends before this run does."""


def record_of(trainer: RecordingTrainer, until: float) -> dict[str, Any]:
    """Train to the end; return miou, loss and seconds of each epoch as lists, shorter where training diverged.

    On a CPU the seconds are those that the process computed, which other processes beside it hardly change.

    Raises OutOfTimeError where that takes longer than `until`, in seconds since 1970.
    """

    curve: dict[str, Any] = {"miou": [], "accuracy": [], "loss": [], "seconds": []}
    try:
        while trainer.epoch < trainer.config.epochs:
            if time.time() > until:
                raise OutOfTimeError("the time is up")
            began = time.process_time()
            record = trainer.run_epoch()
            if trainer.precision.device.type == "cpu":
                record["epoch_s"] = time.process_time() - began
            for key, name in zip(curve, ("holdout/miou", "holdout/accuracy", "train/loss", "epoch_s")):
                curve[key].append(record[name])
    except NonFiniteError as error:
        curve["failed"] = str(error)
    return curve
