"""torchvision's FCN, a lighter head than `fcn`."""

from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, auxiliary_head
from trainables.models.layers import conv_bn_relu


class TorchvisionFCNHead(Head):
    """One 3x3 convolution to a quarter of the deepest map's channels, at stride 8, and an auxiliary head of its kind.

    Dropout is of single values there, not of channels.
    """

    taps = (-2, -1)
    output_stride = 8
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        width = pyramid.channels[-1] // 4
        self.body = conv_bn_relu(pyramid.channels[-1], width, 3)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(width, num_classes, kernel_size=1)
        self.auxiliary = auxiliary_head(pyramid, num_classes=num_classes, dropout=dropout)

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.body(features[-1])
