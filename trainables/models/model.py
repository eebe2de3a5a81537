"""The segmentation model; only this module combines backbones and heads."""

import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.errors import UserError
from trainables.known_names import check_backbone
from trainables.models.backbones.backbone import Backbone, build_backbone
from trainables.models.heads import HEADS
from trainables.models.heads.base import Head, Pyramid
from trainables.models.layers import enlarged
from trainables.models.pretrained.checkpoints import load_checkpoint
from trainables.models.pretrained.dialects.base import Statistics
from trainables.models.pretrained.equivalents import statistics_by_name
from trainables.pretrained_files import find_weights


class SegmentationModel(nn.Module):
    """A backbone and a head that turn normalised images of any size into logits of the same size.

    `mean` and `std` are buffers of shape (1, 3, 1, 1) for images in 0..1. The state dict has them, since they belong to
    the weights that were trained with them. State dicts of earlier versions of SegVote lack them, and get `earlier`.
    """

    def __init__(self, backbone: Backbone, head: Head, earlier: Statistics) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.size_multiple = backbone.pyramid_multiple if head.pads_input else backbone.size_multiple
        for name, values in (("mean", backbone.mean), ("std", backbone.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))
        self._earlier = earlier

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name, values in zip(("mean", "std"), self._earlier):
            state_dict.setdefault(prefix + name, torch.tensor(values).view(1, 3, 1, 1))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def normalize(self, images: Tensor) -> Tensor:
        """Return uint8 RGB images (N, 3, H, W) in 0..255 as float, with the backbone's mean and deviation taken out."""
        return (images - 255 * self.mean).div_(255 * self.std)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) of normalised float images (N, 3, H, W), any H and W.

        The images are padded with zeros (the mean colour) on the right and below to the multiple that backbone and
        head need, and the logits of the padding are cut off again.
        """
        return self._to_image(self.head(self.backbone(self._pad(images))), images)

    def training_logits(self, images: Tensor) -> list[tuple[float, Tensor]]:
        """Return (weight, logits) of each output that the loss is summed over, the main one first with weight 1.

        Logits are (N, num_classes, H, W) as those of `forward`; the others are of auxiliary heads and of earlier stages
        of the head.
        """
        outputs = self.head.training_logits(self.backbone(self._pad(images)))
        return [(weight, self._to_image(logits, images)) for weight, logits in outputs]

    def _pad(self, images: Tensor) -> Tensor:
        below, right = (-size % self.size_multiple for size in images.shape[-2:])
        return F.pad(images, (0, right, 0, below)) if below or right else images

    def _to_image(self, logits: Tensor, images: Tensor) -> Tensor:
        """Return `logits` resized to what they cover of the padded image, or beyond it, and cut to the image.

        They stay in float32 then: in bf16, near-equal logits would become equal, and the first class would win.
        """
        height, width = images.shape[-2:]
        covered = self._covered(tuple(logits.shape[-2:]), (height, width))
        if tuple(logits.shape[-2:]) != covered:
            logits = enlarged(logits, covered)
        return logits[..., :height, :width]

    def _covered(self, cells: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Return the number of pixels that a map of so many cells covers.

        It is larger than the padded image where the family rounds sizes up.
        """
        padded = tuple(-(-length // self.size_multiple) * self.size_multiple for length in size)
        if self.head.pads_input:
            return padded
        for stride in self.backbone.strides:
            if cells == tuple(-(-length // stride) for length in padded):
                return cells[0] * stride, cells[1] * stride
        # Of no map's stride: finer (U-Net doubles the finest map), or of patches that are 14 wide and count as 16.
        multiple = math.lcm(self.size_multiple, self.backbone.strides[0])
        return tuple(-(-length // multiple) * multiple for length in size)


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
    """Return a model of `head` on `backbone`, in train mode.

    Auxiliary heads are part of the model, and are used by `training_logits` alone.

    Args:
        head: A key of HEADS.
        backbone: The name of a timm model, or mit_b0 to mit_b5.
        num_classes: The number of classes; background counts.
        pretrained: Whether the backbone starts from weights: `<weights_dir>/<backbone>.safetensors`, or timm's download
            where that file is absent.
        weights_dir: The directory of that file.
        init_from: A checkpoint of the backbone from elsewhere, which takes the place of those weights.
        init_partial: Whether that checkpoint may lack more than a tenth of the backbone's parameters.
        image_size: (height, width) at which the model is trained: BEiT's position tables are made for it.
        drop_path: The backbone's stochastic depth rate.
        dropout: The head's dropout rate.

    Raises:
        UserError: A name does not exist, a value is out of range, or weights cannot be had.
    """
    if head not in HEADS:
        raise UserError(f"unknown head {head!r}: choose one of {', '.join(HEADS)}")
    check_backbone(backbone)
    _check_values(num_classes=num_classes, drop_path=drop_path, dropout=dropout, image_size=image_size)
    head_class = HEADS[head]
    weights = find_weights(backbone, weights_dir) if pretrained and init_from is None else None
    body = build_backbone(
        backbone,
        weights=weights,
        drop_path=drop_path,
        output_stride=head_class.output_stride,
        image_size=image_size,
        taps=head_class.taps,
        full_resolution=head_class.full_resolution,
    )
    if init_from is not None:
        load_checkpoint(body.model, init_from, allow_partial=init_partial)
    body = head_class.adapt(body, num_classes=num_classes, dropout=dropout)
    pyramid = Pyramid(body.channels, body.strides, sum(parameter.numel() for parameter in body.model.parameters()))
    head = head_class(pyramid, num_classes=num_classes, dropout=dropout).initialize()
    return SegmentationModel(body, head, statistics_by_name(backbone))


def _check_values(*, num_classes: int, drop_path: float, dropout: float, image_size: tuple[int, int] | None) -> None:
    if num_classes < 2:
        raise UserError(f"num_classes is {num_classes}, but must be at least 2 (it counts background)")
    for key, value in (("drop_path", drop_path), ("dropout", dropout)):
        if not 0.0 <= value < 1.0:
            raise UserError(f"{key} is {value}, but must be at least 0 and below 1")
    if image_size is not None and min(image_size) < 1:
        raise UserError(f"image_size is {image_size}, but height and width must be at least 1")
