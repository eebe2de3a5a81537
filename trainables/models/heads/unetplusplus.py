"""U-Net++ (Zhou et al., 2018 and 2020), in the form that decodes a classification backbone's maps."""

from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, full_channels, full_maps

DECODER_CHANNELS = (256, 128, 64, 32, 16)


class UNetPlusPlusHead(Head):
    """U-Net with nested, dense skip connections; dropout on the deepest map, as in UNetHead."""

    taps = None
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.strides = pyramid.strides
        self.dropout = nn.Dropout2d(dropout)
        self.decoder = UnetPlusPlusDecoder(full_channels(pyramid), DECODER_CHANNELS)
        self.classifier = nn.Conv2d(DECODER_CHANNELS[-1], num_classes, kernel_size=3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        *finer, deepest = full_maps(features, self.strides)
        return self.classifier(self.decoder([*finer, self.dropout(deepest)]))
