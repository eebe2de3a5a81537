"""OCRNet (Yuan et al., Object-Contextual Representations for Semantic Segmentation, 2020)."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid, auxiliary_head
from trainables.models.layers import AUXILIARY_WEIGHT, conv_bn_relu, resize

WIDTH, KEY_WIDTH = 512, 256


def region_representations(pixels: Tensor, soft_regions: Tensor) -> Tensor:
    """Return (N, C, K), the mean of the pixels' (N, C, H, W) that each class's region (N, K, H, W, logits) weighs.

    The weights of a region's pixels sum to one (equation 2 of the paper): a softmax over space, not over classes.
    """
    weights = soft_regions.flatten(2).softmax(dim=-1)
    return pixels.flatten(2) @ weights.transpose(1, 2)


class ObjectAttention(nn.Module):
    """Each pixel's mean of the region representations, weighed by its similarity to them (equation 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Sequential(conv_bn_relu(WIDTH, KEY_WIDTH), conv_bn_relu(KEY_WIDTH, KEY_WIDTH))
        self.key = nn.Sequential(conv_bn_relu(WIDTH, KEY_WIDTH), conv_bn_relu(KEY_WIDTH, KEY_WIDTH))
        self.value = conv_bn_relu(WIDTH, KEY_WIDTH)
        self.project = conv_bn_relu(KEY_WIDTH, WIDTH)

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """Return (N, 512, H, W) from `pixels` (N, 512, H, W) and `regions` (N, 512, K)."""
        regions = regions.unsqueeze(-1)  # one column of K pixels
        query, key, value = (
            layer(x).flatten(2).transpose(1, 2)
            for layer, x in ((self.query, pixels), (self.key, regions), (self.value, regions))
        )
        context = F.scaled_dot_product_attention(query, key, value)  # (N, H * W, 256)
        return self.project(context.transpose(1, 2).unflatten(2, pixels.shape[-2:]))


class OCRHead(Head):
    """Object-contextual representations on the deepest map at stride 8, with regions from the map before it.

    On the joined branches of a parallel backbone (HRNet) both read the same map, and a 1x1 convolution as wide as it
    is stands before the regions' classifier. The regions' logits are an auxiliary output.
    """

    taps = (-2, -1)
    output_stride = 8
    pads_input = True

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        deepest = pyramid.channels[-1]
        self.regions = auxiliary_head(pyramid, num_classes=num_classes, dropout=dropout) or nn.Sequential(
            OrderedDict(conv=conv_bn_relu(deepest, deepest), classifier=nn.Conv2d(deepest, num_classes, kernel_size=1))
        )
        self.pixels = conv_bn_relu(deepest, WIDTH, 3)
        self.attention = ObjectAttention()
        self.fuse = conv_bn_relu(2 * WIDTH, WIDTH)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(WIDTH, num_classes, kernel_size=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        return self._outputs(features)[0]

    def training_logits(self, features: list[Tensor]) -> list[tuple[float, Tensor]]:
        logits, regions = self._outputs(features)
        return [(1.0, logits), (AUXILIARY_WEIGHT, regions)]

    def _outputs(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        pixels = self.pixels(features[-1])
        soft_regions = self.regions(features[0])
        representations = region_representations(pixels, resize(soft_regions, pixels))
        context = self.attention(pixels, representations)
        fused = self.fuse(torch.cat([context, pixels], dim=1))
        return self.classifier(self.dropout(fused)), soft_regions
