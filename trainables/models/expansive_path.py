"""U-Net's own decoder, that several heads are made of."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from trainables.models.layers import resize

Layer = Callable[[int, int], nn.Module]  # in and out channels to what maps (N, in, H, W)


class ExpansivePath(nn.Module):
    """The right side of the U (Ronneberger et al., 2015, figure 1), each level as wide as the map that it joins.

    Maps (N, channels[i], H_i, W_i), finest first, to the decoded ones of all levels but the deepest, coarsest first.
    `up` makes the layer that doubles a map and gives it the finer one's width, `level` what follows on the two of them,
    concatenated.
    """

    def __init__(self, channels: Sequence[int], *, up: Layer, level: Layer) -> None:
        super().__init__()
        finer = channels[-2::-1]
        self.ups = nn.ModuleList(up(above, width) for above, width in zip(channels[::-1], finer))
        self.levels = nn.ModuleList(level(2 * width, width) for width in finer)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        decoded = [features[-1]]
        for up, level, skip in zip(self.ups, self.levels, features[-2::-1]):
            decoded.append(level(torch.cat([skip, resize(up(decoded[-1]), skip)], dim=1)))
        return decoded[1:]


def up_convolution(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Return the convolution that doubles a map's size: each of its values becomes a square of two by two."""
    return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
