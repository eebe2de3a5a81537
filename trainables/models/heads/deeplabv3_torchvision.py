"""torchvision's DeepLabV3 (Chen et al., 2017), half as wide as `deeplabv3`, as the paper's own is (section 4)."""

from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, auxiliary_head
from trainables.models.heads.deeplabv3 import AtrousPyramid
from trainables.models.layers import conv_bn_relu

WIDTH = 256


class TorchvisionDeepLabV3Head(Head):
    """Atrous spatial pyramid pooling that is mixed by a 1x1 convolution, and a 3x3 convolution behind it.

    Dropout is of single values and stands between the two; torchvision's rate there is 0.5.
    """

    taps = (-2, -1)
    output_stride = 8
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.pooling = AtrousPyramid(pyramid.channels[-1], WIDTH, stride=pyramid.strides[-1], mixed_by=1)
        self.conv = conv_bn_relu(WIDTH, WIDTH, 3)
        self.pooling_dropout = nn.Dropout(dropout)
        self.dropout = nn.Identity()
        self.classifier = nn.Conv2d(WIDTH, num_classes, kernel_size=1)
        self.auxiliary = auxiliary_head(pyramid, num_classes=num_classes, dropout=dropout)

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.conv(self.pooling_dropout(self.pooling(features[-1])))
