"""A feature pyramid of a plain vision transformer (Bao et al., BEiT, 2022, appendix H)."""

from collections.abc import Sequence

from torch import Tensor, nn

from trainables.models.layers import BatchNorm

TAPS = (1 / 3, 1 / 2, 2 / 3, 1)  # of the depth: blocks 3, 5, 7, 11 of 12, and 7, 11, 15, 23 of 24, from 0


def tapped_blocks(depth: int) -> list[int]:
    """Return the indices, from 0, of the four blocks of `depth` whose outputs become the pyramid."""
    return [max(0, round(share * depth) - 1) for share in TAPS]


class Feature2Pyramid(nn.Module):
    """Four maps (N, C, H, W) of one stride, shallowest block first, to strides of a quarter, a half, one and two of it.

    With patches of 16 pixels these are 4, 8, 16 and 32. Odd sizes are rounded up where they are halved. It is given,
    and makes, the maps at `taps` alone (-4 is the finest).
    """

    def __init__(self, channels: int, taps: Sequence[int] = (-4, -3, -2, -1)) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_level(tap, channels) for tap in taps)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        return [level(x) for level, x in zip(self.levels, features)]


def _level(tap: int, channels: int) -> nn.Module:
    if tap == -4:
        return nn.Sequential(_double(channels), BatchNorm(channels), nn.GELU(), _double(channels))
    if tap == -3:
        return _double(channels)
    return nn.Identity() if tap == -2 else nn.MaxPool2d(kernel_size=2, ceil_mode=True)


def _double(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, kernel_size=2, stride=2)
