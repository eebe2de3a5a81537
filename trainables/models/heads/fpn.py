"""Semantic FPN (Kirillov et al., Panoptic Feature Pyramid Networks, 2019)."""

from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid


class FPNHead(Head):
    """A top-down pyramid of 256 channels, each level brought to stride 4 in 128 channels and summed."""

    taps = None
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.decoder = FPNDecoder(list(pyramid.channels), dropout=dropout)
        self.classifier = nn.Conv2d(self.decoder.out_channels, num_classes, kernel_size=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.classifier(self.decoder(features))
