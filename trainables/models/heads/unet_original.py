"""U-Net as Ronneberger et al. (2015) drew it: transposed convolutions, no norms."""

import torch
from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid
from trainables.models.parts import resize, two_convolutions


class OriginalUNetHead(Head):
    """Decodes each map at that map's own width; its own backbone is `unet_encoder_32`.

    Level by level upwards: a 2x2 transposed convolution to the finer map's width, that map beside it, and two 3x3
    convolutions with biases (figure 1 of the paper; padded, so that sizes stay).
    """

    taps = None
    full_resolution = True
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        finer = pyramid.channels[-2::-1]
        self.ups = nn.ModuleList(up_convolution(above, width) for above, width in zip(pyramid.channels[::-1], finer))
        self.levels = nn.ModuleList(two_convolutions(2 * width, width, batch_norm=False) for width in finer)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(finer[-1], num_classes, kernel_size=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = self.dropout(features[-1])  # "at the end of the contracting path" (section 3.1)
        for up, level, skip in zip(self.ups, self.levels, features[-2::-1]):
            x = level(torch.cat([skip, resize(up(x), skip)], dim=1))
        return self.classifier(x)


def up_convolution(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Return the convolution that doubles a map's size: each of its values becomes a square of two by two."""
    return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
