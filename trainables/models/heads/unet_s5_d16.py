"""U-Net (Ronneberger et al., 2015) as mmsegmentation has it, "S5-D16" on its encoder of five levels."""

from torch import Tensor, nn

from trainables.models.expansive_path import ExpansivePath
from trainables.models.heads.base import Head, Pyramid
from trainables.models.layers import AUXILIARY_WEIGHT, AuxiliaryFCN, conv_bn_relu, two_convolutions

AUXILIARY_CHANNELS = 64


class UNetS5D16Head(Head):
    """Decodes each map at that map's own width; its own backbone is `unet_encoder_64`.

    Level by level upwards: bilinear resizing, a 1x1 convolution to the finer map's width, that map before it, and two
    3x3 convolutions. One more stands before the classifier; the auxiliary head is on the last level but one.
    """

    taps = None
    full_resolution = True
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        finest, second = pyramid.channels[:2]
        self.path = ExpansivePath(pyramid.channels, up=_up, level=two_convolutions)
        self.fuse = conv_bn_relu(finest, finest, 3)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(finest, num_classes, kernel_size=1)
        self.auxiliary = AuxiliaryFCN(second, num_classes=num_classes, dropout=dropout, channels=AUXILIARY_CHANNELS)

    def forward(self, features: list[Tensor]) -> Tensor:
        return self._classify(self.path(features)[-1])

    def training_logits(self, features: list[Tensor]) -> list[tuple[float, Tensor]]:
        *_, second, finest = self.path(features)
        return [(1.0, self._classify(finest)), (AUXILIARY_WEIGHT, self.auxiliary(second))]

    def _classify(self, decoded: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.fuse(decoded)))


def _up(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), conv_bn_relu(in_channels, out_channels))
