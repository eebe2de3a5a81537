"""DeepLabV3 (Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017)."""

from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, auxiliary_head
from trainables.models.layers import concatenate, conv_bn_relu, separable

WIDTH = 512
RATES = (96, 192, 288)  # in image pixels: 12, 24, 36 at stride 8 and 6, 12, 18 at stride 16 (section 4.2)


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling: (N, C, H, W) at `stride` to (N, width, H, W).

    The map averaged over the whole image, a 1x1 convolution and three dilated 3x3 ones, depthwise separable if so
    said, are concatenated and mixed by one of kernel size `mixed_by`.
    """

    def __init__(
        self, in_channels: int, width: int, *, stride: int, separably: bool = False, mixed_by: int = 3
    ) -> None:
        super().__init__()
        convolution = separable if separably else conv_bn_relu
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn_relu(in_channels, width))
        self.convs = nn.ModuleList(
            [
                conv_bn_relu(in_channels, width),
                *(convolution(in_channels, width, 3, dilation=rate // stride) for rate in RATES),
            ]
        )
        self.fuse = conv_bn_relu((2 + len(RATES)) * width, width, mixed_by)

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(concatenate([*(conv(x) for conv in self.convs), self.pool(x)]))


class DeepLabV3Head(Head):
    """Atrous spatial pyramid pooling on the deepest map at stride 8, with an auxiliary head on the map before it."""

    taps = (-2, -1)
    output_stride = 8
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.pooling = AtrousPyramid(pyramid.channels[-1], WIDTH, stride=pyramid.strides[-1])
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(WIDTH, num_classes, kernel_size=1)
        self.auxiliary = auxiliary_head(pyramid, num_classes=num_classes, dropout=dropout)

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.pooling(features[-1])
