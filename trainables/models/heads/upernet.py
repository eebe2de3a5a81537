"""UPerNet (Xiao et al., 2018) as segmentation-models-pytorch builds it: 256 channels, a norm on each map."""

from collections.abc import Sequence

from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder
from torch import Tensor, nn

from trainables.models.heads.base import Head, full_channels, full_maps

DECODER_CHANNELS = 256


class UPerNetHead(Head):
    """Pyramid pooling (1, 2, 3, 6) on the deepest map and a top-down pyramid over strides 4 to 32."""

    def __init__(self, *, in_channels: Sequence[int], strides: Sequence[int], num_classes: int, dropout: float) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.decoder = UPerNetDecoder(full_channels(in_channels, strides), decoder_channels=DECODER_CHANNELS)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(DECODER_CHANNELS, num_classes, kernel_size=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.classifier(self.dropout(self.decoder(full_maps(features, self.strides))))
