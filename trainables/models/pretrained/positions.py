"""Tables of positions that were made for another image or window size, resized to a model's own."""

import math

import numpy as np
import torch
from timm.layers import resample_abs_pos_embed
from timm.layers.pos_embed_rel import resize_rel_pos_bias_table_simple
from torch import Tensor, nn

BIAS_TABLE = "relative_position_bias_table"
POSITION_EMBEDDING = "pos_embed"
MOST_TOKENS = 5  # of a class and four registers


def fitted(model: nn.Module, key: str, own: Tensor, tensor: Tensor) -> Tensor | None:
    """Return `tensor` in the shape of `own`, which `model` has under `key`, or None where it cannot be brought to it.

    Tables of positions are resized: a ViT's embedding bicubically, those of tokens left alone; Swin's bias tables
    bicubically; BEiT's, which reach much further, by `resize_geometrically`. Anything else only loses or gains
    dimensions of size 1 (a linear layer that is a 1 x 1 convolution elsewhere).
    """
    if own.shape == tensor.shape:
        return tensor
    if [size for size in own.shape if size > 1] == [size for size in tensor.shape if size > 1]:
        return tensor.reshape(own.shape)
    owner, _, name = key.rpartition(".")
    if name == BIAS_TABLE:
        return _fitted_bias(tensor, own, model.get_submodule(owner).window_size)
    if name == POSITION_EMBEDDING:
        return _fitted_embedding(tensor, own, model.get_submodule(owner))
    return None


def _fitted_bias(tensor: Tensor, own: Tensor, window_size: tuple[int, int]) -> Tensor | None:
    tokens = len(own) - (2 * window_size[0] - 1) * (2 * window_size[1] - 1)  # rows of BEiT's class token: 3
    if tensor.ndim != 2 or tensor.shape[1] != own.shape[1] or not _is_square(len(tensor) - tokens):
        return None
    if tokens == 0:
        return resize_rel_pos_bias_table_simple(tensor.float(), window_size, own.shape)
    resized = resize_geometrically(tensor[:-tokens].float(), window_size)
    return torch.cat([resized, tensor[-tokens:].float()])


def _fitted_embedding(tensor: Tensor, own: Tensor, vit: nn.Module) -> Tensor | None:
    tokens = 0 if getattr(vit, "no_embed_class", False) else getattr(vit, "num_prefix_tokens", 1)
    if tensor.ndim != 3 or tensor.shape[2] != own.shape[2]:
        return None
    given = tensor.shape[1] - math.isqrt(tensor.shape[1]) ** 2  # tokens before a square of patches
    if given > MOST_TOKENS:  # the patches are no square
        return None
    # Those that the model lacks are left out, and those that the file lacks begin at zero.
    before = tensor[:, : min(given, tokens)]
    before = torch.cat([before, before.new_zeros(1, tokens - before.shape[1], before.shape[2])], dim=1)
    tensor = torch.cat([before, tensor[:, given:]], dim=1)
    return resample_abs_pos_embed(tensor, list(vit.patch_embed.grid_size), num_prefix_tokens=tokens)


def _is_square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number


def resize_geometrically(table: Tensor, window_size: tuple[int, int]) -> Tensor:
    """Return a bias table (N^2, heads) for offsets of a larger window, ((2 H - 1) (2 W - 1), heads).

    The known biases are laid at offsets that grow geometrically from the centre out to the new window's edge, so that
    those of near neighbours, where they vary most, stay as they are; a cubic spline is read between them (as BEiT's
    authors do for segmentation, Bao et al., ICLR 2022).
    """
    known = math.isqrt(len(table))
    rows, columns = (_geometric_offsets(known // 2, size - 1) for size in window_size)
    at_rows, at_columns = (np.arange(1 - size, size) for size in window_size)
    maps = table.reshape(known, known, -1).permute(2, 0, 1).double().numpy()
    from scipy.interpolate import RectBivariateSpline  # half a second that most trials do not need

    resized = [RectBivariateSpline(rows, columns, values, kx=3, ky=3, s=0)(at_rows, at_columns) for values in maps]
    return torch.from_numpy(np.stack(resized)).to(table.dtype).flatten(1).T.contiguous()


def _geometric_offsets(count: int, edge: int) -> np.ndarray:
    """Return the offsets 1, 1 + q, 1 + q + q^2, … of `count` steps that end at `edge`, with 0 and their negatives."""
    low, high = 1.01, 1.5  # the limits of BEiT's own search: a smaller window than before is cut out of the middle
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (ratio**count - 1) / (ratio - 1) > edge:
            high = ratio
        else:
            low = ratio
    steps = np.cumsum(ratio ** np.arange(count))
    return np.concatenate([-steps[::-1], [0.0], steps])
