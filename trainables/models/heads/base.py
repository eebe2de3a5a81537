"""The common parts of all heads: their arguments, their outputs, and how their weights are initialised."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from segmentation_models_pytorch.base.initialization import initialize_decoder
from torch import Tensor, nn

from trainables.models.layers import AUXILIARY_WEIGHT, AuxiliaryFCN, BatchNorm

CLASSIFIER = re.compile(r"(^|\.)classifier(s\.\d+)?$")  # a head's last convolution, or each output's
LIGHT_PARAMETERS = 20_000_000
NARROW = 64  # channels before a classifier


@dataclass(frozen=True)
class Pyramid:
    """The properties of a backbone that a head needs.

    Map i, finest first, is (N, channels[i], H / strides[i], W / strides[i]). The maps are those that the head asked
    for, or a single map of all branches where the backbone's are parallel (HRNet) and the head did not ask for all.
    `parameters` is the size of the whole backbone.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    parameters: int

    @property
    def is_light(self) -> bool:
        """Return whether the backbone is as small as MiT-B0 or B1.

        For these, SegFormer and Lawin publish a lighter head.
        """
        return self.parameters < LIGHT_PARAMETERS


class Head(nn.Module):
    """A module that turns a backbone's feature maps into logits.

    A subclass takes a Pyramid, and `num_classes` and `dropout` as keywords. It has `decode`, from features to the map
    that is classified; `dropout`; and `classifier`, the last convolution. Features are a list of (N, C_i, H_i, W_i),
    finest first. Logits are (N, num_classes, H, W) at any stride, because the model resizes them. Class variables state
    what it needs of the backbone and the input.
    """

    taps: ClassVar[tuple[int, ...] | None] = (-4, -3, -2, -1)
    """Which of the backbone's maps it takes, counted from the deepest; None for all, that at stride 2 included."""
    full_resolution: ClassVar[bool] = False
    """Whether all means the map at stride 1 as well, which U-Net's own encoder and VGG have."""
    output_stride: ClassVar[int] = 32
    """Deepest stride that the backbone is dilated to, where its family can."""
    pads_input: ClassVar[bool] = False
    """Whether the image is padded to a multiple of the deepest stride, so that each map is half the one before.

    For heads that join maps by their sizes, and for those that classify on the deepest map: where it is rounded up, it
    covers more of the image than the finer ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary: nn.Module | None = None  # on the map at stride 16, the last but one; in training only

    @classmethod
    def adapt(cls, backbone: nn.Module, *, num_classes: int, dropout: float) -> nn.Module:
        """Return the backbone with what the head needs inside of it, by default nothing."""
        return backbone

    def decode(self, features: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.classifier(self.dropout(self.decode(features)))

    def training_logits(self, features: list[Tensor]) -> list[tuple[float, Tensor]]:
        """Return what the loss is summed over: (weight, logits), the main output first with weight 1."""
        return [(1.0, self(features)), *self.auxiliary_logits(features)]

    def auxiliary_logits(self, features: list[Tensor]) -> list[tuple[float, Tensor]]:
        return [] if self.auxiliary is None else [(AUXILIARY_WEIGHT, self.auxiliary(features[-2]))]

    def initialize(self) -> Self:
        """Draw new weights: He's for convolutions, and Glorot's for linear layers and a narrow decoder's classifier.

        All other classifiers start at N(0, 0.01), as published. A classifier with few inputs would not move far from
        such small weights in a short run, because Adam changes a weight by no more than the learning rate in a step.
        """
        _replace_batch_norms(self)
        initialize_decoder(self)
        for name, module in self.named_modules():
            if CLASSIFIER.search(name):
                if module.in_channels < NARROW:
                    nn.init.xavier_uniform_(module.weight)
                else:
                    nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        return self


def auxiliary_head(pyramid: Pyramid, *, num_classes: int, dropout: float) -> AuxiliaryFCN | None:
    """Return a head for the last map but one, or None where parallel branches have become one map."""
    if len(pyramid.channels) == 1:
        return None
    return AuxiliaryFCN(pyramid.channels[-2], num_classes=num_classes, dropout=dropout)


def _replace_batch_norms(module: nn.Module) -> None:
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, BatchNorm(child.num_features, eps=child.eps, momentum=child.momentum))


def full_channels(pyramid: Pyramid) -> list[int]:
    """Return channels at strides 1 (the image), 2 (0 where the backbone has no such map), 4, 8, 16 and 32."""
    return [3, *([] if pyramid.strides[0] == 2 else [0]), *pyramid.channels]


def full_maps(features: list[Tensor], strides: Sequence[int]) -> list[Tensor]:
    """Return maps at strides 1 to 32, those that `features` lacks (1, and 2 of some) with no channels."""
    finest = features[0]
    height, width = (size * strides[0] for size in finest.shape[-2:])
    lacking = [stride for stride in (1, 2) if stride < strides[0]]
    empty = [finest.new_empty(finest.shape[0], 0, height // stride, width // stride) for stride in lacking]
    return [*empty, *features]
