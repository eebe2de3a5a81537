"""U-Net's own encoder as a backbone, which U-Net used before it was combined with classification networks.

Importing this module registers the encoders with timm, so that they are built and named in errors like its models.
There are no pretrained weights for them.
"""

from collections.abc import Callable
from typing import Any

from segmentation_models_pytorch.base.initialization import initialize_decoder
from timm.models import FeatureInfo, register_model
from torch import Tensor, nn

from trainables.models.layers import two_convolutions, two_convolutions_with_bias

DEPTH = 5


class ContractingPath(nn.Module):
    """The left side of the U (Ronneberger et al., 2015, figure 1): five levels with a 2x2 max pooling between them.

    Images (N, 3, H, W) to the maps of all levels, finest first: level i, from 0, is
    (N, width * 2**i, H / 2**i, W / 2**i). `level` makes a level's layers from its in and out channels.
    """

    def __init__(self, width: int, *, level: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        widths = [width * 2**depth for depth in range(DEPTH)]
        self.levels = nn.ModuleList(level(before, after) for before, after in zip([3, *widths], widths))
        self.pool = nn.MaxPool2d(2)
        self.feature_info = FeatureInfo(
            [
                {"num_chs": channels, "reduction": 2**depth, "module": f"levels.{depth}"}
                for depth, channels in enumerate(widths)
            ],
            out_indices=range(DEPTH),
        )
        initialize_decoder(self)  # He et al. (2015), as the paper asks for (section 3)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.levels[0](images)]
        for level in self.levels[1:]:
            maps.append(level(self.pool(maps[-1])))
        return maps


@register_model
def unet_encoder_64(pretrained: bool = False, features_only: bool = False, **places: Any) -> ContractingPath:
    """Return mmsegmentation's U-Net encoder S5-D16: 64 to 1024 channels, with batch norm."""
    return ContractingPath(64, level=two_convolutions, **_options(pretrained, features_only, places))


@register_model
def unet_encoder_32(pretrained: bool = False, features_only: bool = False, **places: Any) -> ContractingPath:
    """Return an encoder of 32 to 512 channels without norms.

    It is that of the U-Net with which U-Net++ was compared (Zhou et al., 2018).
    """
    return ContractingPath(32, level=two_convolutions_with_bias, **_options(pretrained, features_only, places))


def _options(pretrained: bool, features_only: bool, given: dict[str, Any]) -> dict[str, Any]:
    """Return timm's arguments without those that say where pretrained weights are."""
    if pretrained or not features_only:
        raise RuntimeError("it has no pretrained weights and no classifier")
    return {key: value for key, value in given.items() if not key.startswith(("pretrained_", "cache_dir"))}
