"""The loop that a user would write instead of a search: U-Net of segmentation-models-pytorch, all images in memory.

Nothing of this project is in it, so that a trial can be compared with it.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from PIL import Image
from pycocotools import mask as coco_mask
from safetensors.torch import load_file
from torch import Tensor

IGNORE_INDEX = 255


@dataclass(frozen=True)
class Split:
    """images float (N, 3, h, w) in -1..1; masks uint8 (N, h, w); full_masks uint8 (N, H, W), as they were drawn."""

    images: Tensor
    masks: Tensor
    full_masks: Tensor


def read_split(file: Path, size: tuple[int, int]) -> Split:
    """Decodes and resizes every photo of a COCO file to `size` (h, w). Category ids 1..C become classes 0..C-1."""
    coco = json.loads(file.read_text(encoding="utf-8"))
    full_masks = {
        image["id"]: np.full((image["height"], image["width"]), IGNORE_INDEX, np.uint8) for image in coco["images"]
    }
    for annotation in coco["annotations"]:
        drawn = coco_mask.decode(annotation["segmentation"]).astype(bool)
        full_masks[annotation["image_id"]][drawn] = annotation["category_id"] - 1
    wide = (size[1], size[0])
    photos = [Image.open(file.parent / image["file_name"]).convert("RGB").resize(wide, 2) for image in coco["images"]]
    masks = [Image.fromarray(full_masks[image["id"]]).resize(wide, 0) for image in coco["images"]]
    images = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).contiguous()
    return Split(
        images.float().div_(127.5).sub_(1),  # mean and deviation 0.5, as this backbone's weights want it
        torch.from_numpy(np.stack(masks)),
        torch.from_numpy(np.stack([full_masks[image["id"]] for image in coco["images"]])),
    )


@dataclass(frozen=True)
class Loop:
    """One training run. `dtype` float32: as it is usually written; else autocast, with channels-last images.

    `initial` are weights of decoder and classifier to start from, instead of those that `seed` draws.
    """

    backbone: str
    weights: Path
    num_classes: int
    batch_size: int
    epochs: int
    lr: float
    seed: int
    dtype: torch.dtype = torch.float32
    initial: dict[str, Tensor] | None = None

    def run(self, train: Split, holdout: Split) -> tuple[list[float], float]:
        """The time at which each epoch ended (monotonic clock, s), and the last holdout mIoU."""
        torch.manual_seed(self.seed)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = smp.Unet(f"tu-{self.backbone}", encoder_weights=None, classes=self.num_classes)
        model.encoder.model.load_state_dict(load_file(self.weights), strict=False)
        if unknown := model.load_state_dict(self.initial or {}, strict=False).unexpected_keys:
            raise ValueError(f"weights that the model does not have: {unknown}")
        model.to(device, memory_format=self._layout)
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.lr, weight_decay=0.01)
        steps = len(train.images) // self.batch_size
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=self.epochs * steps)
        ends = []
        for _ in range(self.epochs):
            model.train()
            order = torch.randperm(len(train.images))
            for batch in order[: steps * self.batch_size].split(self.batch_size):
                images, masks = flipped(train.images[batch], train.masks[batch])
                with torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32):
                    logits = model(images.to(device, memory_format=self._layout))
                loss = F.cross_entropy(logits.float(), masks.to(device).long(), ignore_index=IGNORE_INDEX)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            score = self._miou(model, holdout, device)
            ends.append(time.monotonic())
        return ends, score

    @property
    def _layout(self) -> torch.memory_format:
        return torch.contiguous_format if self.dtype == torch.float32 else torch.channels_last

    @torch.inference_mode()
    def _miou(self, model: torch.nn.Module, split: Split, device: str) -> float:
        model.eval()
        confusion = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)
        for images, masks in zip(split.images.split(self.batch_size), split.full_masks.split(self.batch_size)):
            with torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32):
                logits = model(images.to(device, memory_format=self._layout))
            logits = F.interpolate(logits.float(), size=masks.shape[1:], mode="bilinear")
            scored = masks != IGNORE_INDEX
            pairs = masks[scored].long() * self.num_classes + logits.argmax(1).cpu()[scored]
            confusion += torch.bincount(pairs, minlength=self.num_classes**2).view_as(confusion)
        overlap = confusion.diagonal().double()
        return (overlap / (confusion.sum(0) + confusion.sum(1) - overlap)).nanmean().item()


def flipped(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Half of the photos, drawn at random, mirrored left to right with their masks."""
    mirrored = torch.rand(len(images)) < 0.5
    images[mirrored], masks[mirrored] = images[mirrored].flip(-1), masks[mirrored].flip(-1)
    return images, masks
