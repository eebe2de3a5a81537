"""Fully convolutional head (Long et al., 2015), in the form that dilated ResNets are published with."""

from typing import ClassVar

from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, auxiliary_head
from trainables.models.layers import concatenate, conv_bn_relu

WIDTH = 512


class FCNHead(Head):
    """Two 3x3 convolutions on the deepest map at stride 8, joined with the map itself by a third.

    On the joined branches of a parallel backbone it is HRNetV2's (Wang et al., 2019): one 1x1 convolution as wide as
    they are, and no auxiliary head, for there is no map at stride 16.
    """

    taps = (-2, -1)
    output_stride = 8
    pads_input = True
    slim_on_joined: ClassVar[bool] = True
    """Whether joined branches get HRNetV2's one convolution."""

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        deepest = pyramid.channels[-1]
        if self.slim_on_joined and len(pyramid.channels) == 1:
            width, self.body = deepest, conv_bn_relu(deepest, deepest)
        else:
            width, self.body = WIDTH, _Convolutions(deepest)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, num_classes, kernel_size=1)
        self.auxiliary = auxiliary_head(pyramid, num_classes=num_classes, dropout=dropout)

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.body(features[-1])


class _Convolutions(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(conv_bn_relu(in_channels, WIDTH, 3), conv_bn_relu(WIDTH, WIDTH, 3))
        self.fuse = conv_bn_relu(in_channels + WIDTH, WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(concatenate([x, self.convs(x)]))
