"""SegFormer's all-MLP head (Xie et al., 2021)."""

from collections.abc import Sequence

from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder
from torch import Tensor, nn

from trainables.models.heads.base import Head, full_channels, full_maps

DECODER_CHANNELS = 256


class SegFormerHead(Head):
    """A linear layer a map, of strides 4 to 32 as in the paper, resized to stride 4, concatenated and mixed."""

    def __init__(self, *, in_channels: Sequence[int], strides: Sequence[int], num_classes: int, dropout: float) -> None:
        super().__init__()
        self.strides = tuple(strides[-4:])
        self.decoder = SegformerDecoder(
            full_channels(in_channels[-4:], self.strides), segmentation_channels=DECODER_CHANNELS
        )
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(DECODER_CHANNELS, num_classes, kernel_size=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.classifier(self.dropout(self.decoder(full_maps(features[-4:], self.strides))))
