"""UPerNet (Xiao et al., Unified Perceptual Parsing for Scene Understanding, 2018)."""

from typing import ClassVar

from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, auxiliary_head
from trainables.models.layers import PyramidPooling, concatenate, conv_bn_relu, resize

WIDTH = 512


class UPerNetHead(Head):
    """Pyramid pooling on the deepest map, and a feature pyramid over strides 4 to 32 whose levels are joined.

    It is 512 channels wide; on a plain transformer, whose maps have all the same channels, as wide as they are
    (BEiT; Bao et al., 2022).
    """

    as_wide_as_plain: ClassVar[bool] = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        channels = pyramid.channels
        width = channels[0] if self.as_wide_as_plain and len(set(channels)) == 1 else WIDTH
        self.pooling = PyramidPooling(channels[-1], width)
        self.laterals = nn.ModuleList(conv_bn_relu(finer, width) for finer in channels[:-1])
        # The deepest level has none: the pooling ends in such a convolution.
        self.smooth = nn.ModuleList(conv_bn_relu(width, width, 3) for _ in channels[:-1])
        self.fuse = conv_bn_relu(len(channels) * width, width, 3)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, num_classes, kernel_size=1)
        self.auxiliary = auxiliary_head(pyramid, num_classes=num_classes, dropout=dropout)

    def decode(self, features: list[Tensor]) -> Tensor:
        *finer, deepest = features
        levels = [self.pooling(deepest)]
        for lateral, feature in zip(reversed(self.laterals), reversed(finer)):
            side = lateral(feature)
            levels.insert(0, side + resize(levels[0], side))
        smoothed = [smooth(level) for smooth, level in zip(self.smooth, levels)]
        return self.fuse(concatenate([*smoothed, levels[-1]]))
