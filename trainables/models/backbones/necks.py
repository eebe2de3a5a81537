"""Modules that segmentation adds to a hierarchical backbone: from lists of maps (N, C_i, H_i, W_i) to such lists."""

from collections.abc import Sequence

from torch import Tensor, nn

from trainables.models.layers import concatenate


class TapNorms(nn.Module):
    """A LayerNorm over the channels of each map, which Swin (2021) and ConvNeXt (2022) use for dense prediction."""

    def __init__(self, channels: Sequence[int], *, eps: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channel, eps=eps) for channel in channels)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        return [norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for norm, x in zip(self.norms, features)]


class JoinBranches(nn.Module):
    """All maps resized to the finest and concatenated into one (HRNetV2; Wang et al., 2019, figure 4b)."""

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        return [concatenate(features)]
