"""U-Net's own encoder, as a backbone: what U-Net had before it was put on classification networks.

Importing this makes the encoders known to timm, so that they are built, named in errors and tapped as its models are.
There are no pretrained weights of them.
"""

from typing import Any

from timm.models import register_model
from timm.models._features import FeatureInfo
from torch import Tensor, nn

from trainables.models.parts import two_convolutions

DEPTH = 5


class ContractingPath(nn.Module):
    """Two 3x3 convolutions at each of five levels with a 2x2 max pooling between them (Ronneberger et al., 2015).

    Level i, from 0, is (N, width * 2**i, H / 2**i, W / 2**i). With `batch_norm`, as mmsegmentation's, the convolutions
    have no bias; without, as in the paper, they have, and start as He et al. (2015) draw them.
    """

    def __init__(self, width: int, *, batch_norm: bool) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(DEPTH)]
        self.levels = nn.ModuleList(
            two_convolutions(before, after, batch_norm=batch_norm) for before, after in zip([3, *widths], widths)
        )
        self.pool = nn.MaxPool2d(2)
        self.feature_info = FeatureInfo(
            [
                {"num_chs": channels, "reduction": 2**level, "module": f"levels.{level}"}
                for level, channels in enumerate(widths)
            ],
            out_indices=range(DEPTH),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.levels[0](images)]
        for level in self.levels[1:]:
            maps.append(level(self.pool(maps[-1])))
        return maps


@register_model
def unet_encoder_64(pretrained: bool = False, features_only: bool = False, **places: Any) -> ContractingPath:
    """mmsegmentation's U-Net S5-D16: 64 to 1024 channels, batch norm."""
    return ContractingPath(64, batch_norm=True, **_options(pretrained, features_only, places))


@register_model
def unet_encoder_32(pretrained: bool = False, features_only: bool = False, **places: Any) -> ContractingPath:
    """32 to 512 channels, no norms: the U-Net that U-Net++ was compared with (Zhou et al., 2018, table 2)."""
    return ContractingPath(32, batch_norm=False, **_options(pretrained, features_only, places))


def _options(pretrained: bool, features_only: bool, given: dict[str, Any]) -> dict[str, Any]:
    """What is left of timm's arguments without those that say where pretrained weights are."""
    if pretrained or not features_only:
        raise RuntimeError("it has no pretrained weights and no classifier")
    return {key: value for key, value in given.items() if not key.startswith(("pretrained_", "cache_dir"))}
