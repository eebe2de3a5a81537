"""Lawin Transformer's head (Yan et al., Lawin Transformer, arXiv 2201.01615, 2022).

Two forms are published. The full one is that of the authors' default branch; the light one, for MiT-B0 and B1, is of
their branch `oldversion`: sums in place of concatenations, convolutions in place of pooling, no position mixing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid
from trainables.models.layers import concatenate, conv_bn, conv_bn_relu, resize, separable

WINDOW = 8  # positions of the map at stride 8 on a side
RATIOS = (8, 4, 2)
FINE_WIDTH = 48


class LawinHead(Head):
    """Large-window attention at three ratios on strides 8 to 32, joined with the map at stride 4.

    The full form is 512 wide behind linear layers of 768, the light one 128 throughout. Maps whose sides are no
    multiples of 8 at stride 8 are padded with zeros to whole windows.
    """

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        fine, *deeper = pyramid.channels
        self.is_light = pyramid.is_light
        embedding, width = (128, 128) if self.is_light else (768, 512)
        self.linears = nn.ModuleList(nn.Conv2d(channels, embedding, kernel_size=1) for channels in deeper)
        self.shortcut = conv_bn_relu(width, width)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn_relu(width, width))
        attention = LightLargeWindowAttention if self.is_light else LargeWindowAttention
        self.attentions = nn.ModuleList(attention(width, ratio) for ratio in RATIOS)
        if not self.is_light:
            self.embed = conv_bn_relu(len(deeper) * embedding, width)
            self.fuse = conv_bn_relu((2 + len(RATIOS)) * width, width)
        self.fine = nn.Conv2d(fine, FINE_WIDTH, kernel_size=1)
        self.fuse_fine = conv_bn_relu(width + FINE_WIDTH, width)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, num_classes, kernel_size=1)

    def decode(self, features: list[Tensor]) -> Tensor:
        fine, *deeper = features
        pooled = self._pool(self._embed(deeper))
        fine = self.fine(fine)
        return self.fuse_fine(torch.cat([resize(pooled, fine), fine], dim=1))

    def _embed(self, features: list[Tensor]) -> Tensor:
        maps = [linear(x) for linear, x in zip(self.linears, features)]
        return _sum(maps) if self.is_light else self.embed(concatenate(maps))

    def _pool(self, x: Tensor) -> Tensor:
        """Return the pooled contexts of all windows.

        The contexts overlap by whole cells of ratio x ratio positions, so that each cell is pooled only once.
        """
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % WINDOW, 0, -height % WINDOW))
        attended = [attention(padded)[..., :height, :width] for attention in self.attentions]
        branches = [self.shortcut(x), self.pool(x), *attended]
        return _sum(branches) if self.is_light else self.fuse(concatenate(branches))

    def initialize(self) -> "LawinHead":
        """Draw new weights as all heads do; at first, attention adds nothing to its query, as in the authors' code."""
        super().initialize()
        for attention in self.attentions:
            nn.init.zeros_(attention.project[1].weight)
        return self


def _sum(maps: list[Tensor]) -> Tensor:
    return sum((resize(x, maps[0]) for x in maps[1:]), maps[0])


def windows(x: Tensor, stride: int) -> Tensor:
    """Return all WINDOW x WINDOW parts of (N, C, H, W), `stride` apart, by rows: (N * windows, C, WINDOW, WINDOW)."""
    parts = x.unfold(2, WINDOW, stride).unfold(3, WINDOW, stride)  # (N, C, rows, columns, WINDOW, WINDOW)
    return parts.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


class WindowAttention(nn.Module):
    """Each window of a map attends to its own context, both WINDOW x WINDOW positions, in ratio^2 heads.

    A non-local block: the softmax of embedded query times embedded context, divided by the root of a head's width,
    weighs the embedded context; through a 1x1 convolution and batch norm it is added to the query. A subclass has
    `contexts`: (N, C, H, W) to (N * windows, C, WINDOW, WINDOW), windows by rows.
    """

    def __init__(self, width: int, ratio: int, *, inner: int) -> None:
        super().__init__()
        self.ratio, self.heads = ratio, ratio**2
        self.query = nn.Conv2d(width, inner, kernel_size=1)
        self.key = nn.Conv2d(width, inner, kernel_size=1)
        self.value = nn.Conv2d(width, inner, kernel_size=1)
        self.project = conv_bn(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) of `x`, whose H and W are multiples of WINDOW."""
        context = self.contexts(x)
        query = self._split(windows(self.query(x), WINDOW))
        key, value = self._split(self.key(context)), self._split(self.value(context))
        attended = F.scaled_dot_product_attention(query, key, value)  # (N * windows, heads, positions, inner / heads)
        return x + self.project(self._join(attended, x))

    def _split(self, x: Tensor) -> Tensor:
        return x.flatten(2).unflatten(1, (self.heads, -1)).transpose(-1, -2)

    def _join(self, attended: Tensor, x: Tensor) -> Tensor:
        images, _, height, width = x.shape
        grid = (images, height // WINDOW, width // WINDOW)
        parts = attended.transpose(-1, -2).flatten(1, 2).unflatten(0, grid).unflatten(-1, (WINDOW, WINDOW))
        return parts.permute(0, 3, 1, 4, 2, 5).reshape(images, -1, height, width)


class LargeWindowAttention(WindowAttention):
    """The full form (equations 2 to 4): a context is `ratio` windows wide and high, centred on its window.

    It is pooled back to a window's size (mean of maximum and average), normed, and its positions are mixed by a linear
    layer a head, which is added. What lies outside of the map is zero.
    """

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__(width, ratio, inner=width // 2)
        self.norm = nn.LayerNorm(width)
        positions = self.heads * WINDOW**2
        self.mix_positions = nn.Conv1d(positions, positions, kernel_size=1, groups=self.heads)

    def contexts(self, x: Tensor) -> Tensor:
        contexts = windows(self._pool(x), WINDOW // self.ratio)
        by_head = contexts.flatten(2).unflatten(1, (self.heads, -1)).transpose(-1, -2)  # heads, positions, channels
        mixed = self.mix_positions(by_head.flatten(1, 2)).view_as(by_head)
        return contexts + mixed.transpose(-1, -2).reshape(contexts.shape)

    def _pool(self, x: Tensor) -> Tensor:
        """Return the pooled contexts of all windows.

        The contexts overlap by whole cells of ratio x ratio positions, so that each cell is pooled only once.
        """
        border = (self.ratio - 1) * WINDOW // 2
        padded = F.pad(x, (border,) * 4)
        pooled = (F.max_pool2d(padded, self.ratio) + F.avg_pool2d(padded, self.ratio)) / 2
        return self.norm(pooled.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LightLargeWindowAttention(WindowAttention):
    """The light form: the map is pooled by a depthwise separable convolution and then padded, nothing is mixed."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__(width, ratio, inner=width)
        self.pool = separable(width, width, ratio, stride=ratio)
        cells = WINDOW - WINDOW // ratio  # of context beyond a window, on both sides together
        self.border = (cells // 2, cells - cells // 2, cells - cells // 2, cells // 2)  # left, right, top, bottom

    def contexts(self, x: Tensor) -> Tensor:
        return windows(F.pad(self.pool(x), self.border), WINDOW // self.ratio)
