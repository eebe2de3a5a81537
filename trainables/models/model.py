"""The segmentation model, and the one place that knows which backbone meets which head."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.errors import UserError
from trainables.models.backbones import Backbone, build_backbone, check_backbone
from trainables.models.checkpoints import load_checkpoint
from trainables.models.heads import HEADS
from trainables.models.heads.base import Head
from trainables.models.weights import find_weights


class SegmentationModel(nn.Module):
    """A backbone and a head: normalised images of any size to logits of the same size.

    `mean` and `std` are buffers of shape (1, 3, 1, 1) for images in 0..1; they are not part of the state dict.
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.size_multiple = backbone.strides[-1] if head.pads_input else backbone.size_multiple
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1), persistent=False)

    def normalize(self, images: Tensor) -> Tensor:
        """Return uint8 RGB images (N, 3, H, W) in 0..255 as float, with the backbone's mean and deviation taken out."""
        return (images - 255 * self.mean).div_(255 * self.std)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) of normalised float images (N, 3, H, W), any H and W.

        The images are padded with zeros (the mean colour) on the right and below to the multiple that backbone and
        head need, and the logits of the padding are cut off again.
        """
        height, width = images.shape[-2:]
        logits = self.head(self.backbone(self._pad(images)))
        if self.head.stride > 1:
            logits = F.interpolate(logits, scale_factor=self.head.stride, mode="bilinear", align_corners=False)
        return logits[..., :height, :width]

    def _pad(self, images: Tensor) -> Tensor:
        below, right = (-size % self.size_multiple for size in images.shape[-2:])
        return F.pad(images, (0, right, 0, below)) if below or right else images


def build_model(
    *,
    head: str,
    backbone: str,
    num_classes: int,
    pretrained: bool = True,
    weights_dir: str | Path | None = None,
    init_from: str | Path | None = None,
    init_partial: bool = False,
    image_size: tuple[int, int] | None = None,
    drop_path: float = 0.0,
    dropout: float = 0.1,
) -> SegmentationModel:
    """Return `head` (a key of HEADS) on `backbone` (a timm model name, or mit_b0 to mit_b5), in train mode.

    `num_classes` counts background. With `pretrained` the backbone's weights are `<weights_dir>/<backbone>.safetensors`
    or, where that is absent, timm's download; `init_from`, a checkpoint of the backbone from elsewhere, takes their
    place, and `init_partial` allows that it lacks more than a tenth of the parameters.

    `image_size` (height, width) is the size that the model is trained at; no backbone that is supported now depends on
    it. `drop_path` is the backbone's stochastic depth rate, `dropout` the head's. Raises UserError for names that do
    not exist, values out of range and weights that cannot be had.
    """
    if head not in HEADS:
        raise UserError(f"unknown head {head!r}: choose one of {', '.join(HEADS)}")
    check_backbone(backbone)
    _check_values(num_classes=num_classes, drop_path=drop_path, dropout=dropout, image_size=image_size)
    head_class = HEADS[head]
    weights = find_weights(backbone, weights_dir) if pretrained and init_from is None else None
    body = build_backbone(backbone, weights=weights, drop_path=drop_path, output_stride=head_class.output_stride)
    if init_from is not None:
        load_checkpoint(body.model, init_from, allow_partial=init_partial)
    top = head_class(
        in_channels=body.channels, strides=body.strides, num_classes=num_classes, dropout=dropout
    ).initialize()
    return SegmentationModel(body, top)


def _check_values(*, num_classes: int, drop_path: float, dropout: float, image_size: tuple[int, int] | None) -> None:
    if num_classes < 2:
        raise UserError(f"num_classes is {num_classes}, but must be at least 2 (it counts background)")
    for key, value in (("drop_path", drop_path), ("dropout", dropout)):
        if not 0.0 <= value < 1.0:
            raise UserError(f"{key} is {value}, but must be at least 0 and below 1")
    if image_size is not None and min(image_size) < 1:
        raise UserError(f"image_size is {image_size}, but height and width must be at least 1")
