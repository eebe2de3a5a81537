"""U-Net as Ronneberger et al. (2015) drew it: transposed convolutions, no norms."""

from torch import Tensor, nn

from trainables.models.expansive_path import ExpansivePath, up_convolution
from trainables.models.heads.base import Head, Pyramid
from trainables.models.layers import two_convolutions_with_bias


class OriginalUNetHead(Head):
    """Decodes each map at that map's own width; its own backbone is `unet_encoder_32`.

    Level by level upwards: a 2x2 transposed convolution to the finer map's width, that map before it, and two 3x3
    convolutions with biases (padded, so that sizes stay).
    """

    taps = None
    full_resolution = True
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.path = ExpansivePath(pyramid.channels, up=up_convolution, level=two_convolutions_with_bias)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(pyramid.channels[0], num_classes, kernel_size=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        *finer, deepest = features
        # Dropout is "at the end of the contracting path" (section 3.1).
        return self.classifier(self.path([*finer, self.dropout(deepest)])[-1])
