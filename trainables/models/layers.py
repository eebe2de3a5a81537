"""Layers that several heads are made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AUXILIARY_CHANNELS = 256
AUXILIARY_WEIGHT = 0.4  # of the loss of every auxiliary output (Zhao et al., PSPNet, section 3.3)
POOL_SIZES = (1, 2, 3, 6)


class BatchNorm(nn.BatchNorm2d):
    """A batch norm that uses its running statistics for a batch with a single value per channel, which PyTorch refuses.

    Such a batch is one image pooled to 1 x 1, as in pyramid pooling, which has no variance to divide by.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


def conv_bn(
    in_channels: int, out_channels: int, kernel_size: int = 1, *, dilation: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution without bias, and batch norm.

    Args:
        in_channels: The channels of the input.
        out_channels: The channels of the output.
        kernel_size: Height and width of the kernel; the input is padded so that a stride of 1 keeps its size.
        dilation: The distance of the kernel's values, in pixels.
        stride: The step of the kernel, in pixels.
        groups: The number of groups of channels that are convolved apart.
    """
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=dilation * (kernel_size // 2) if stride == 1 else 0,
        dilation=dilation,
        groups=groups,
        bias=False,
    )
    return nn.Sequential(conv, BatchNorm(out_channels))


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int = 1, **options: int) -> nn.Sequential:
    return conv_bn(in_channels, out_channels, kernel_size, **options).append(nn.ReLU(inplace=True))


def separable(in_channels: int, out_channels: int, kernel_size: int = 3, **options: int) -> nn.Sequential:
    """Return a depthwise and a pointwise convolution, batch norm and ReLU after each."""
    depthwise = conv_bn_relu(in_channels, in_channels, kernel_size, groups=in_channels, **options)
    return nn.Sequential(depthwise, conv_bn_relu(in_channels, out_channels))


def two_convolutions(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two 3x3 convolutions that keep the size, each with batch norm and ReLU."""
    return nn.Sequential(conv_bn_relu(in_channels, out_channels, 3), conv_bn_relu(out_channels, out_channels, 3))


def two_convolutions_with_bias(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two 3x3 convolutions that keep the size, each with a bias and ReLU."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Return `x` resized bilinearly to the height and width of `like`."""
    size = like.shape[-2:]
    if x.shape[-2:] == size:
        return x
    if x.shape[-2:] == (1, 1):
        return x.expand(-1, -1, *size)
    if x.is_cuda and x.requires_grad:
        # In a half format PyTorch's kernel for GPUs would add up the gradients of all the pixels to which a cell
        # contributes in that format, and a sum in bf16 stops growing at 256 times what is added.
        return enlarged(x, size).to(x.dtype)
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `x` (N, C, h, w) resized bilinearly to (N, C, *size) in float32."""
    return F.interpolate(x.float(), size, mode="bilinear", align_corners=False)


def concatenate(maps: list[Tensor]) -> Tensor:
    """Return the maps, (N, C_i, H_i, W_i), resized to the first one and concatenated."""
    return torch.cat([resize(x, maps[0]) for x in maps], dim=1)


def convolve_concatenated(conv: nn.Conv2d, maps: list[Tensor]) -> Tensor:
    """Return `conv(concatenate(maps))` for a 1x1 convolution without bias, at less than half the operations.

    Both the convolution and the bilinear resize are linear, and neither mixes what the other does: a map that is
    convolved at its own size with its share of the weights, and then resized, gives the same sum.
    """
    weights = conv.weight.split([x.shape[1] for x in maps], dim=1)
    total, *coarser = [F.conv2d(x, weight) for x, weight in zip(maps, weights)]
    for x in coarser:
        total = total + resize(x, total)
    return total


class AuxiliaryFCN(nn.Module):
    """A small head for deep supervision: one 3x3 convolution, dropout, classifier."""

    def __init__(
        self, in_channels: int, *, num_classes: int, dropout: float, channels: int = AUXILIARY_CHANNELS
    ) -> None:
        super().__init__()
        self.conv = conv_bn_relu(in_channels, channels, 3)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(channels, num_classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.conv(x)))


class PyramidPooling(nn.Module):
    """Pyramid pooling module (Zhao et al., 2017, figure 3): (N, C, H, W) to (N, width, H, W).

    The map's averages over grids of 1x1, 2x2, 3x3 and 6x6 cells, each through a 1x1 convolution of `width` channels
    and resized back, are concatenated with the map itself and mixed by a 3x3 convolution.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.pools = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), conv_bn_relu(in_channels, width)) for size in POOL_SIZES
        )
        self.fuse = conv_bn_relu(in_channels + len(POOL_SIZES) * width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(concatenate([x, *(pool(x) for pool in self.pools)]))
