"""U-Net++ (Zhou et al., 2018 and 2020), in the form that decodes a classification backbone's maps."""

from collections.abc import Sequence

from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
from torch import Tensor, nn

from trainables.models.heads.base import Head, full_channels, full_maps

DECODER_CHANNELS = (256, 128, 64, 32, 16)


class UNetPlusPlusHead(Head):
    """U-Net with nested, dense skip connections; dropout on the deepest map, as in UNetHead."""

    stride = 1

    def __init__(self, *, in_channels: Sequence[int], strides: Sequence[int], num_classes: int, dropout: float) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.dropout = nn.Dropout2d(dropout)
        self.decoder = UnetPlusPlusDecoder(full_channels(in_channels, strides), DECODER_CHANNELS)
        self.classifier = nn.Conv2d(DECODER_CHANNELS[-1], num_classes, kernel_size=3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        *finer, deepest = full_maps(features, self.strides)
        return self.classifier(self.decoder([*finer, self.dropout(deepest)]))
