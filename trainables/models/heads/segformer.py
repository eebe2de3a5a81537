"""SegFormer's all-MLP head (Xie et al., 2021)."""

from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid
from trainables.models.layers import conv_bn_relu, convolve_concatenated

WIDTH, LIGHT_WIDTH = 768, 256


class SegFormerHead(Head):
    """A linear layer a map, of strides 4 to 32, resized to stride 4, concatenated and mixed.

    768 channels wide, and 256 on a light backbone, as the paper has it for MiT-B2 to B5 and for B0 and B1.
    """

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        width = LIGHT_WIDTH if pyramid.is_light else WIDTH
        self.linears = nn.ModuleList(nn.Conv2d(channel, width, kernel_size=1) for channel in pyramid.channels)
        self.fuse = conv_bn_relu(len(pyramid.channels) * width, width)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, num_classes, kernel_size=1)

    def decode(self, features: list[Tensor]) -> Tensor:
        conv, norm, relu = self.fuse
        return relu(norm(convolve_concatenated(conv, [linear(x) for linear, x in zip(self.linears, features)])))
