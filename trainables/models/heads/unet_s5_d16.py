"""U-Net (Ronneberger et al., 2015) as mmsegmentation has it, "S5-D16" on its encoder of five levels."""

import torch
from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid
from trainables.models.parts import AUXILIARY_WEIGHT, AuxiliaryFCN, conv_bn_relu, resize, two_convolutions

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
        finer = pyramid.channels[-2::-1]
        self.ups = nn.ModuleList(conv_bn_relu(above, width) for above, width in zip(pyramid.channels[::-1], finer))
        self.levels = nn.ModuleList(two_convolutions(2 * width, width, batch_norm=True) for width in finer)
        self.fuse = conv_bn_relu(finer[-1], finer[-1], 3)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(finer[-1], num_classes, kernel_size=1)
        self.auxiliary = AuxiliaryFCN(finer[-2], num_classes=num_classes, dropout=dropout, channels=AUXILIARY_CHANNELS)

    def forward(self, features: list[Tensor]) -> Tensor:
        return self._classify(self._decode_levels(features))

    def training_logits(self, features: list[Tensor]) -> list[tuple[float, Tensor]]:
        decoded = self._decode_levels(features)
        return [(1.0, self._classify(decoded)), (AUXILIARY_WEIGHT, self.auxiliary(decoded[-2]))]

    def _decode_levels(self, features: list[Tensor]) -> list[Tensor]:
        """Decoded maps of all levels but the deepest, coarsest first."""
        decoded = [features[-1]]
        for up, level, skip in zip(self.ups, self.levels, features[-2::-1]):
            decoded.append(level(torch.cat([skip, up(resize(decoded[-1], skip))], dim=1)))
        return decoded[1:]

    def _classify(self, decoded: list[Tensor]) -> Tensor:
        return self.classifier(self.dropout(self.fuse(decoded[-1])))
