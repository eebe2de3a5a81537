"""DeepLabV3+ (Chen et al., Encoder-Decoder with Atrous Separable Convolution, 2018)."""

from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, auxiliary_head
from trainables.models.heads.deeplabv3 import AtrousPyramid
from trainables.models.layers import concatenate, conv_bn_relu, separable

WIDTH = 512
FINE_WIDTH = 48


class DeepLabV3PlusHead(Head):
    """Atrous pyramid pooling on the deepest map at stride 8, joined with the map at stride 4 by two convolutions."""

    taps = (-4, -2, -1)
    output_stride = 8

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.pooling = AtrousPyramid(pyramid.channels[-1], WIDTH, stride=pyramid.strides[-1], separably=True)
        self.project = conv_bn_relu(pyramid.channels[0], FINE_WIDTH)
        self.fuse = nn.Sequential(separable(WIDTH + FINE_WIDTH, WIDTH), separable(WIDTH, WIDTH))
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(WIDTH, num_classes, kernel_size=1)
        self.auxiliary = auxiliary_head(pyramid, num_classes=num_classes, dropout=dropout)

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.fuse(concatenate([self.project(features[0]), self.pooling(features[-1])]))
