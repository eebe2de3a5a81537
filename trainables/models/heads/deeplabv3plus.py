"""DeepLabV3+ (Chen et al., 2018) from segmentation-models-pytorch's parts, for any depth of backbone.

Its own decoder upsamples by a fixed factor and so refuses backbones that cannot be dilated (Swin, MiT).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.decoders.deeplabv3.decoder import ASPP, SeparableConv2d
from torch import Tensor, nn

from trainables.models.heads.base import Head

DECODER_CHANNELS = 256
FINE_CHANNELS = 48


class DeepLabV3PlusHead(Head):
    """Atrous spatial pyramid pooling on the deepest map, joined with the map at stride 4.

    Rates are 6, 12, 18 at stride 16 (section 3.1 of the paper) and the same in image pixels at other strides.
    """

    output_stride = 16

    def __init__(self, *, in_channels: Sequence[int], strides: Sequence[int], num_classes: int, dropout: float) -> None:
        super().__init__()
        self.fine = strides.index(4)
        rate = 96 // strides[-1]
        self.pooling = nn.Sequential(
            ASPP(in_channels[-1], DECODER_CHANNELS, (rate, 2 * rate, 3 * rate), separable=True, dropout=dropout),
            *_separable(DECODER_CHANNELS),
        )
        self.project = nn.Sequential(
            nn.Conv2d(in_channels[self.fine], FINE_CHANNELS, kernel_size=1, bias=False),
            nn.BatchNorm2d(FINE_CHANNELS),
            nn.ReLU(),
        )
        self.fuse = nn.Sequential(*_separable(DECODER_CHANNELS + FINE_CHANNELS))
        self.classifier = nn.Conv2d(DECODER_CHANNELS, num_classes, kernel_size=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        fine = self.project(features[self.fine])
        pooled = F.interpolate(self.pooling(features[-1]), fine.shape[-2:], mode="bilinear", align_corners=False)
        return self.classifier(self.fuse(torch.cat([pooled, fine], dim=1)))


def _separable(in_channels: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    conv = SeparableConv2d(in_channels, DECODER_CHANNELS, kernel_size=3, padding=1, bias=False)
    return conv, nn.BatchNorm2d(DECODER_CHANNELS), nn.ReLU()
