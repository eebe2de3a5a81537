"""What all heads have in common."""

from collections.abc import Sequence
from typing import ClassVar, Self

import torch.nn.functional as F
from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head
from torch import Tensor, nn


class Head(nn.Module):
    """Turns a backbone's feature maps into logits.

    A subclass takes `in_channels` and `strides` (of the maps, finest first; four or five), `num_classes` and
    `dropout` as keywords, names its last convolution `classifier`, and maps a list of (N, C_i, H_i, W_i) features to
    logits (N, num_classes, H, W) at `stride`. It says in class variables what it needs of the backbone and input.
    """

    stride: ClassVar[int] = 4
    """Stride of the logits."""
    output_stride: ClassVar[int] = 32
    """Deepest stride that the backbone is dilated to, where its family can."""
    pads_input: ClassVar[bool] = True
    """Whether the image is padded to a multiple of the deepest stride, so that each map is half the one before."""

    def initialize(self) -> Self:
        """Draw new weights as segmentation-models-pytorch does: He for the decoder, Glorot for the classifier."""
        _replace_batch_norms(self)
        initialize_decoder(self)
        initialize_head(self.classifier)
        return self


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that uses its running statistics on a batch of one value a channel, which PyTorch refuses.

    That is a batch of one image pooled to 1 x 1, as in pyramid pooling: there is no variance to divide by.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


def _replace_batch_norms(module: nn.Module) -> None:
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, BatchNorm(child.num_features, eps=child.eps, momentum=child.momentum))


def full_channels(in_channels: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Return channels at strides 1 (the image), 2 (0 where the backbone has no such map), 4, 8, 16 and 32."""
    return [3, *([] if strides[0] == 2 else [0]), *in_channels]


def full_maps(features: list[Tensor], strides: Sequence[int]) -> list[Tensor]:
    """Return maps at strides 1 to 32, those that `features` lacks (1, and 2 of some) with no channels."""
    finest = features[0]
    height, width = (size * strides[0] for size in finest.shape[-2:])
    lacking = [stride for stride in (1, 2) if stride < strides[0]]
    empty = [finest.new_empty(len(finest), 0, height // stride, width // stride) for stride in lacking]
    return [*empty, *features]
