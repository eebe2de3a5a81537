"""K-Net for semantic segmentation (Zhang et al., K-Net: Towards Unified Image Segmentation, 2021)."""

from typing import ClassVar

from torch import Tensor, nn

from trainables.models.heads.base import Head, Pyramid
from trainables.models.heads.deeplabv3 import DeepLabV3Head
from trainables.models.heads.fcn import FCNHead
from trainables.models.heads.pspnet import PSPNetHead
from trainables.models.heads.upernet import UPerNetHead

STAGES = 3
UPDATE_WIDTH = 256
ATTENTION_HEADS = 8
FFN_WIDTH = 2048


class KernelUpdate(nn.Module):
    """Adaptive kernel update (section 3.2): gathered features and kernels, (..., 256), to new kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.width = width = UPDATE_WIDTH
        self.features, self.kernels = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width)
        self.feature_gate = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.Sigmoid())
        self.kernel_gate = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.Sigmoid())
        self.feature_norm, self.kernel_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU())

    def forward(self, features: Tensor, kernels: Tensor) -> Tensor:
        feature_in, feature_out = self.features(features).chunk(2, dim=-1)
        kernel_in, kernel_out = self.kernels(kernels).chunk(2, dim=-1)
        gate = feature_in * kernel_in
        new = self.feature_gate(gate) * self.feature_norm(feature_out)
        return self.project(new + self.kernel_gate(gate) * self.kernel_norm(kernel_out))


class KernelUpdateHead(nn.Module):
    """One of K-Net's iterations: kernels (N, K, C) are updated with the features that their masks gather.

    The kernels interact by self-attention, and are handed on; a branch of them makes the kernels of the new masks.
    Kernels and gathered features are taken as C / 256 rows each, which share the update's weights.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(width, width, kernel_size=1)
        self.update = KernelUpdate()
        self.attention = nn.MultiheadAttention(width, ATTENTION_HEADS, batch_first=True)
        self.attention_norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(nn.Linear(width, FFN_WIDTH), nn.ReLU(), nn.Linear(FFN_WIDTH, width))
        self.ffn_norm = nn.LayerNorm(width)
        self.mask_branch = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width)
        )

    def forward(self, features: Tensor, kernels: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Return new kernels (N, K, C) and masks (N, K, H, W, logits) of `features` (N, C, H, W)."""
        features = self.transform(features)
        # A pixel is shared out among the classes; a class's features are a sum, not a mean, over its pixels.
        gathered = masks.softmax(dim=1).flatten(2) @ features.flatten(2).transpose(1, 2)
        rows = (-1, self.update.width)
        updated = self.update(gathered.unflatten(-1, rows), kernels.unflatten(-1, rows)).flatten(-2)
        attended, _ = self.attention(updated, updated, updated, need_weights=False)
        updated = self.attention_norm(updated + attended)
        updated = self.ffn_norm(updated + self.ffn(updated))
        masks = self.mask_branch(updated) @ features.flatten(2)
        return updated, masks.unflatten(-1, features.shape[-2:])


class KNetHead(Head):
    """Another head's map, classifier and first masks, improved by three kernel updates, each of them supervised.

    The classifier's weights are the first kernels: they are the same for all images, those that follow are not.
    """

    base_class: ClassVar[type[Head]]

    def __init__(self, pyramid: Pyramid, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.base = self.base_class(pyramid, num_classes=num_classes, dropout=dropout)
        self.updates = nn.ModuleList(KernelUpdateHead(self.base.classifier.in_channels) for _ in range(STAGES))

    def initialize(self) -> "KNetHead":
        """Draw new weights as all heads do, and Glorot's for the updates' convolutions too, as published."""
        super().initialize()
        for update in self.updates:
            nn.init.xavier_uniform_(update.transform.weight)
        return self

    def forward(self, features: list[Tensor]) -> Tensor:
        return self._masks(features)[-1]

    def training_logits(self, features: list[Tensor]) -> list[tuple[float, Tensor]]:
        *earlier, last = self._masks(features)
        return [(1.0, masks) for masks in (last, *earlier)] + self.base.auxiliary_logits(features)

    def _masks(self, features: list[Tensor]) -> list[Tensor]:
        x = self.base.decode(features)
        masks = [self.base.classifier(self.base.dropout(x))]
        kernels = self.base.classifier.weight.flatten(1).repeat(x.shape[0], 1, 1)
        for update in self.updates:
            kernels, new = update(x, kernels, masks[-1])
            masks.append(new)
        return masks


class _FCNHead(FCNHead):
    slim_on_joined = False  # kernels are of whole rows of UPDATE_WIDTH


class KNetFCNHead(KNetHead):
    """K-Net on FCN."""

    base_class = _FCNHead
    taps = FCNHead.taps
    output_stride = FCNHead.output_stride
    pads_input = FCNHead.pads_input


class KNetDeepLabV3Head(KNetHead):
    """K-Net on DeepLabV3."""

    base_class = DeepLabV3Head
    taps = DeepLabV3Head.taps
    output_stride = DeepLabV3Head.output_stride
    pads_input = DeepLabV3Head.pads_input


class KNetPSPNetHead(KNetHead):
    """K-Net on PSPNet."""

    base_class = PSPNetHead
    taps = PSPNetHead.taps
    output_stride = PSPNetHead.output_stride
    pads_input = PSPNetHead.pads_input


class _UPerNetHead(UPerNetHead):
    as_wide_as_plain = False  # rows of UPDATE_WIDTH would not fit into 384 channels


class KNetUPerNetHead(KNetHead):
    """K-Net on UPerNet, 512 channels wide on every backbone."""

    base_class = _UPerNetHead
