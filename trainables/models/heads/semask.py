"""SeMask-FPN (Jain et al., SeMask: Semantically Masked Transformers for Semantic Segmentation, arXiv 2112.12782)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.models.backbones.backbone import Backbone
from trainables.models.backbones.swin import SwinBlock, SwinV2Block
from trainables.models.heads.base import Head, Pyramid
from trainables.models.layers import AUXILIARY_WEIGHT, conv_bn_relu, resize

STAGES = 4
WIDTH = 256
WINDOW = 7  # where the backbone has none of its own
# The authors' models attend over the whole map in stages 3 and 4 where all of this holds, else within windows.
GLOBAL_STAGES, GLOBAL_WIDTHS, WINDOWED_CLASSES = (2, 3), (96, 192), 19


class SemanticLayer(nn.Module):
    """Semantic attention (section 3.2): tokens attend to each other by how alike their classes are.

    The query, (N, H, W, num_classes), is the semantic prior map as well. What is attended to is added to the normed
    tokens, `gain` times: 0 at first, so that the pretrained backbone is left as it is. Attention is within windows
    of `window` tokens a side, padded with zeros on the right and below, or over the whole map where it is None.
    """

    def __init__(self, channels: int, *, num_classes: int, window: int | None, dropout: float) -> None:
        super().__init__()
        self.window = window
        self.norm = nn.LayerNorm(channels)
        self.query, self.key = nn.Linear(channels, num_classes), nn.Linear(channels, num_classes)
        self.value, self.project = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)
        self.gain = nn.Parameter(torch.zeros(1))
        for linear in (self.query, self.key, self.value, self.project):
            # None may start at zero: with the gain at zero too, neither would ever have a gradient.
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens and semantic prior of the tokens `x` (N, H, W, C)."""
        x = self.norm(x)
        height, width = x.shape[1:3]
        rows, columns = (self.window or height), (self.window or width)
        padded = F.pad(x, (0, 0, 0, -width % columns, 0, -height % rows))
        query, key, value = self.query(padded), self.key(padded), self.value(padded)
        # The paper's product is not divided by the root of the number of classes.
        parts = [_windows(tokens, rows, columns) for tokens in (query, key, value)]
        attended = _unite(F.scaled_dot_product_attention(*parts, scale=1.0), padded, rows, columns)
        attended = self.dropout(self.project(attended[:, :height, :width]))
        return x + self.gain * attended, query[:, :height, :width]


def _windows(x: Tensor, rows: int, columns: int) -> Tensor:
    """Return maps (N, H, W, C) of whole windows as (N, windows, tokens of a window, C)."""
    parts = x.unflatten(2, (-1, columns)).unflatten(1, (-1, rows))  # (N, down, rows, across, columns, C)
    return parts.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _unite(parts: Tensor, x: Tensor, rows: int, columns: int) -> Tensor:
    """Return the inverse of `_windows`, at the height and width of `x`."""
    images, height, width, _ = x.shape
    parts = parts.unflatten(2, (rows, columns)).unflatten(1, (height // rows, width // columns))
    return parts.transpose(2, 3).reshape(images, height, width, -1)


class SeMaskBackbone(Backbone):
    """A backbone with a semantic layer for each of its four maps; after them it returns four semantic priors.

    In a Swin Transformer each stage feeds the next one through its layer. Other families, for which nothing is
    published, are left as they are: the layers are on their maps.
    """

    def __init__(self, body: Backbone, *, num_classes: int, dropout: float) -> None:
        super().__init__(
            body.model,
            channels=body.channels,
            strides=body.strides,
            mean=body.mean,
            std=body.std,
            size_multiple=body.size_multiple,
            pyramid_multiple=body.pyramid_multiple,
            maps=body.maps,
            neck=body.neck,
            outputs_nhwc=body.outputs_nhwc,
        )
        windows = (module.window_size[0] for module in body.modules() if isinstance(module, (SwinBlock, SwinV2Block)))
        window = next(windows, WINDOW)
        everywhere = self.channels[0] in GLOBAL_WIDTHS and num_classes > WINDOWED_CLASSES
        self.semantic_layers = nn.ModuleList(
            SemanticLayer(
                channels,
                num_classes=num_classes,
                window=None if everywhere and stage in GLOBAL_STAGES else window,
                dropout=dropout,
            )
            for stage, channels in enumerate(self.channels)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        if self.outputs_nhwc:
            features, priors = self._swin(images)
            features = self.neck(features)
        else:
            maps = [feature.permute(0, 2, 3, 1) for feature in super().forward(images)]
            features, priors = zip(*(layer(x) for layer, x in zip(self.semantic_layers, maps)))
            features = [feature.permute(0, 3, 1, 2) for feature in features]
        return [*features, *(prior.permute(0, 3, 1, 2) for prior in priors)]

    def _swin(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        features, priors, layers = [], [], iter(self.semantic_layers)
        for name, stage in self.model.items():  # a stage begins with the merging of patches
            x = stage(x)
            if name in self.model.return_layers:
                x, prior = next(layers)(x)
                features.append(x.permute(0, 3, 1, 2))
                priors.append(prior)
        return features, priors


class SeMaskFPNHead(Head):
    """Semantic FPN without lateral connections on the maps; the sum of the semantic priors is an auxiliary output."""

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_level(channels, doublings) for doublings, channels in enumerate(pyramid.channels))
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(WIDTH, num_classes, kernel_size=1)

    @classmethod
    def adapt(cls, backbone: Backbone, *, num_classes: int, dropout: float) -> Backbone:
        return SeMaskBackbone(backbone, num_classes=num_classes, dropout=dropout)

    def decode(self, features: list[Tensor]) -> Tensor:
        maps = [level(x) for level, x in zip(self.levels, features[:STAGES])]
        return sum((resize(x, maps[0]) for x in maps[1:]), maps[0])

    def training_logits(self, features: list[Tensor]) -> list[tuple[float, Tensor]]:
        finest, *coarser = features[STAGES:]
        prior = sum((resize(x, finest) for x in coarser), finest)
        return [(1.0, self(features)), (AUXILIARY_WEIGHT, prior)]


def _level(in_channels: int, doublings: int) -> nn.Sequential:
    """Return the convolutions that bring a map of stride 4 * 2 ** doublings to stride 4."""
    level = nn.Sequential()
    for index in range(max(1, doublings)):
        level.append(conv_bn_relu(WIDTH if index else in_channels, WIDTH, 3))
        if doublings:
            level.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
    return level
