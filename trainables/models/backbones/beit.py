"""BEiT on images of any size: its tables of relative positions are for one size and are resized for others."""

import torch
import torch.nn.functional as F
from timm.models import beit
from timm.models._features import FeatureGetterNet
from torch import Tensor, nn

CLASS_TOKEN_ROWS = 3  # at a table's end: from the class token, to it, and to itself


class AnyGridAttention(beit.Attention):
    """BEiT's attention in timm, whose blocks have a table each, for any grid of patches."""

    def _get_rel_pos_bias(self) -> Tensor:
        return _bias(self).unsqueeze(0)


class AnyGridBias(beit.RelativePositionBias):
    """BEiT v2's table in timm, which all blocks share, for any grid of patches."""

    def forward(self) -> Tensor:
        return _bias(self)


class AnyGridFeatures(FeatureGetterNet):
    """A feature extractor of timm that passes the grid of patches of its images on to its tables."""

    def forward(self, images: Tensor) -> list[Tensor]:
        grid = self.model.patch_embed.dynamic_feat_size(images.shape[-2:])
        for module in self.modules():
            if isinstance(module, AnyGridAttention | AnyGridBias):
                module.grid = grid
        return super().forward(images)


def take_any_size(features: FeatureGetterNet) -> None:
    """Let timm's features of a BEiT take images of any whole number of patches; parameters stay as they are."""
    ours = {beit.Attention: AnyGridAttention, beit.RelativePositionBias: AnyGridBias}
    features.__class__ = AnyGridFeatures
    features.model.patch_embed.strict_img_size = False
    for module in features.modules():
        module.__class__ = ours.get(type(module), type(module))


def _bias(module: nn.Module) -> Tensor:
    """Return (heads, tokens, tokens), the class token first."""
    table, index = module.relative_position_bias_table, module.relative_position_index
    if module.grid != tuple(module.window_size):
        table = _resized(table, module.window_size, module.grid)
        index = beit.gen_relative_position_index(module.grid, device=table.device)
    return table[index].permute(2, 0, 1).contiguous()


def _resized(table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Return a table (rows, heads) resized for another grid, through which the gradient reaches the table."""
    (height, width), size = (2 * side - 1 for side in old), [2 * side - 1 for side in new]
    by_offset = table[:-CLASS_TOKEN_ROWS].T.unflatten(1, (height, width))
    resized = F.interpolate(by_offset[None], size, mode="bicubic", align_corners=False)[0]
    return torch.cat([resized.flatten(1).T, table[-CLASS_TOKEN_ROWS:]])
