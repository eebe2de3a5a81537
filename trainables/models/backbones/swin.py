"""Swin's windows at any input size, padded and shifted as its authors do (Liu et al., 2021, section 3.2)."""

import torch.nn.functional as F
from timm.models import swin_transformer, swin_transformer_v2
from torch import Tensor, nn


class _PaddedFirst:
    """timm shifts a map and then pads it to whole windows, with a mask that fits the padded map.

    Where something is padded, rows of the upper border then attend to rows of the lower one. Padding first, as the
    authors do, leaves timm nothing to pad, and its mask fits.
    """

    def _attn(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]  # NHWC
        below, right = (-size % window for size, window in zip((height, width), self.window_size))
        return super()._attn(F.pad(x, (0, 0, 0, right, 0, below)))[:, :height, :width]


class SwinBlock(_PaddedFirst, swin_transformer.SwinTransformerBlock):
    """timm's block that pads before it shifts."""


class SwinV2Block(_PaddedFirst, swin_transformer_v2.SwinTransformerV2Block):
    """timm's block that pads before it shifts."""


def pad_before_shift(model: nn.Module) -> None:
    """Make every Swin block of `model` pad before it shifts; parameters stay, and what whole windows come to."""
    ours = {block.__mro__[2]: block for block in (SwinBlock, SwinV2Block)}
    for module in model.modules():
        if type(module) in ours:
            module.__class__ = ours[type(module)]
