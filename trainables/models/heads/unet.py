"""U-Net (Ronneberger et al., 2015), in the form that decodes a classification backbone's maps."""

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, full_channels, full_maps

DECODER_CHANNELS = (256, 128, 64, 32, 16)


class UNetHead(Head):
    """Nearest upsampling and two 3x3 convolutions a level, to the image's own resolution.

    Dropout is on the deepest map, "at the end of the contracting path" (section 3.1 of the paper). Upsampling by size
    doubles maps that were rounded up exactly, so nothing need be padded for it.
    """

    taps = None

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.strides = pyramid.strides
        self.dropout = nn.Dropout2d(dropout)
        self.decoder = UnetDecoder(full_channels(pyramid), DECODER_CHANNELS)
        self.classifier = nn.Conv2d(DECODER_CHANNELS[-1], num_classes, kernel_size=3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        *finer, deepest = full_maps(features, self.strides)
        return self.classifier(self.decoder([*finer, self.dropout(deepest)]))
