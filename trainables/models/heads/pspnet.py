"""PSPNet (Zhao et al., Pyramid Scene Parsing Network, 2017)."""

from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, auxiliary_head
from trainables.models.layers import PyramidPooling

WIDTH = 512


class PSPNetHead(Head):
    """Pyramid pooling on the deepest map at stride 8, with an auxiliary head on the map before it."""

    taps = (-2, -1)
    output_stride = 8
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.pooling = PyramidPooling(pyramid.channels[-1], WIDTH)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(WIDTH, num_classes, kernel_size=1)
        self.auxiliary = auxiliary_head(pyramid, num_classes=num_classes, dropout=dropout)

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.pooling(features[-1])
