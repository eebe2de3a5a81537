"""The papers' equations read loop by loop, for small tensors: what the vectorised layers are compared with."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def windowed_padding(x: Tensor, window: int) -> Tensor:
    """(H, W, C) with zero rows below and columns on the right, to whole windows."""
    height, width, channels = x.shape
    padded = torch.zeros(math.ceil(height / window) * window, math.ceil(width / window) * window, channels)
    padded[:height, :width] = x
    return padded


def semantic_attention(x: Tensor, layer: nn.Module, window: int | None) -> tuple[Tensor, Tensor]:
    """SeMask (section 3.2) on one image's tokens (H, W, C): the new tokens and the semantic prior."""
    height, width, _ = x.shape
    normed = layer.norm(x)
    padded = windowed_padding(normed, window) if window else normed
    rows, columns = padded.shape[:2]
    side = (window, window) if window else (rows, columns)
    attended = torch.zeros_like(padded)
    prior = torch.zeros(rows, columns, layer.query.out_features)
    for top in range(0, rows, side[0]):
        for left in range(0, columns, side[1]):
            tokens = padded[top : top + side[0], left : left + side[1]].reshape(-1, padded.shape[-1])
            query, key, value = layer.query(tokens), layer.key(tokens), layer.value(tokens)
            for i in range(len(tokens)):
                scores = torch.stack([query[i] @ key[j] for j in range(len(tokens))])
                weights = scores.exp() / scores.exp().sum()
                row, column = top + i // side[1], left + i % side[1]
                attended[row, column] = sum(weight * token for weight, token in zip(weights, value))
                prior[row, column] = query[i]
    out = normed + layer.gain * layer.project(attended[:height, :width])
    return out, prior[:height, :width]


def large_window_attention(x: Tensor, layer: nn.Module, side: int = 8) -> Tensor:
    """Lawin's full attention (section 3.1) on one image's map (C, H, W): each window and its context by itself."""
    channels, height, width = x.shape
    out = torch.zeros(layer.query.out_channels, height, width)
    for top in range(0, height, side):
        for left in range(0, width, side):
            context = _pooled_context(x, top, left, side, layer.ratio)
            context = layer.norm(context.permute(1, 2, 0)).permute(2, 0, 1).reshape(channels, -1)
            window = x[:, top : top + side, left : left + side].reshape(channels, -1)
            attended = _attend(window, _mixed(context, layer), layer)
            out[:, top : top + side, left : left + side] = attended.view(-1, side, side)
    return x + layer.project(out[None])[0]


def _pooled_context(x: Tensor, top: int, left: int, side: int, ratio: int) -> Tensor:
    """(C, side, side): the area of ratio x ratio windows around one, mean and maximum of each cell averaged."""
    channels, height, width = x.shape
    before = (ratio - 1) * side // 2
    pooled = torch.zeros(channels, side, side)
    for i in range(side):
        for j in range(side):
            cell = torch.zeros(channels, ratio, ratio)
            for k in range(ratio):
                for m in range(ratio):
                    row, column = top - before + i * ratio + k, left - before + j * ratio + m
                    if 0 <= row < height and 0 <= column < width:
                        cell[:, k, m] = x[:, row, column]
            pooled[:, i, j] = (cell.amax((1, 2)) + cell.mean((1, 2))) / 2
    return pooled


def _mixed(context: Tensor, layer: nn.Module) -> Tensor:
    """(C, positions): each head's channels through its own linear layer over the positions, added."""
    channels, positions = context.shape
    weight, bias = layer.mix_positions.weight[..., 0], layer.mix_positions.bias
    out = context.clone()
    for channel in range(channels):
        head = channel * layer.heads // channels
        rows = slice(head * positions, (head + 1) * positions)
        out[channel] += weight[rows] @ context[channel] + bias[rows]
    return out


def _attend(window: Tensor, context: Tensor, layer: nn.Module) -> Tensor:
    """(inner, positions): softmax attention of a window's positions over its context's, head by head."""
    query, key, value = (
        conv.weight[:, :, 0, 0] @ x + conv.bias[:, None]
        for conv, x in ((layer.query, window), (layer.key, context), (layer.value, context))
    )
    width = len(query) // layer.heads
    out = torch.zeros_like(query)
    for head in range(layer.heads):
        rows = slice(head * width, (head + 1) * width)
        for position in range(query.shape[1]):
            scores = query[rows, position] @ key[rows]
            out[rows, position] = value[rows] @ (scores / math.sqrt(width)).softmax(0)
    return out


def kernel_update(layer: nn.Module, features: Tensor, kernels: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """One iteration of K-Net (section 3.2) on one image: features (C, H, W), kernels (K, C), masks (K, H, W)."""
    update, (channels, height, width) = layer.update, features.shape
    x = layer.transform(features[None])[0]
    share = masks.exp() / masks.exp().sum(0)
    new = torch.zeros_like(kernels)
    rows = update.features.in_features
    for k in range(len(kernels)):
        gathered = sum(share[k, i, j] * x[:, i, j] for i in range(height) for j in range(width))
        for start in range(0, channels, rows):
            part = slice(start, start + rows)
            a, b = update.features(gathered[part]), update.kernels(kernels[k, part])
            gate = a[:rows] * b[:rows]
            feature_gate, kernel_gate = update.feature_gate(gate), update.kernel_gate(gate)
            mixed = feature_gate * update.feature_norm(a[rows:]) + kernel_gate * update.kernel_norm(b[rows:])
            new[k, part] = update.project(mixed)
    new = layer.attention_norm(new + _self_attention(new, layer.attention))
    new = layer.ffn_norm(new + layer.ffn(new))
    mask_kernels = layer.mask_branch(new)
    return new, torch.stack([(kernel[:, None, None] * x).sum(0) for kernel in mask_kernels])


def _self_attention(x: Tensor, attention: nn.MultiheadAttention) -> Tensor:
    query, key, value = (x @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, dim=-1)
    width = attention.head_dim
    heads = []
    for head in range(attention.num_heads):
        part = slice(head * width, (head + 1) * width)
        weights = (query[:, part] @ key[:, part].T / math.sqrt(width)).softmax(-1)
        heads.append(weights @ value[:, part])
    return attention.out_proj(torch.cat(heads, dim=-1))


def region_representations(pixels: Tensor, regions: Tensor) -> Tensor:
    """OCR (equation 2) on one image: pixels (C, H, W) and region logits (K, H, W) to (C, K)."""
    channels, height, width = pixels.shape
    out = torch.zeros(channels, len(regions))
    for k, region in enumerate(regions):
        total = sum(region[i, j].exp() for i in range(height) for j in range(width))
        for i in range(height):
            for j in range(width):
                out[:, k] += region[i, j].exp() / total * pixels[:, i, j]
    return out


def object_attention(layer: nn.Module, pixels: Tensor, regions: Tensor) -> Tensor:
    """OCR (equation 3) on one image: pixels (C, H, W) and regions (C, K) to contexts (C, H, W)."""
    query = layer.query(pixels[None])[0]
    key, value = (part(regions[None, :, :, None])[0, :, :, 0] for part in (layer.key, layer.value))
    context = torch.zeros(len(value), *pixels.shape[1:])
    for i in range(pixels.shape[1]):
        for j in range(pixels.shape[2]):
            scores = query[:, i, j] @ key / math.sqrt(len(key))
            context[:, i, j] = value @ scores.softmax(0)
    return layer.project(context[None])[0]


def pyramid_pooling(layer: nn.Module, x: Tensor) -> Tensor:
    """PSPNet's module on one image's map (C, H, W): averages of grids of cells, which may share rows and columns."""
    channels, height, width = x.shape
    maps = [x[None]]
    for size, pool in zip((1, 2, 3, 6), layer.pools):
        cells = torch.zeros(1, channels, size, size)
        for i in range(size):
            for j in range(size):
                rows = slice(i * height // size, math.ceil((i + 1) * height / size))
                columns = slice(j * width // size, math.ceil((j + 1) * width / size))
                cells[0, :, i, j] = x[:, rows, columns].mean((1, 2))
        maps.append(F.interpolate(pool[1](cells), (height, width), mode="bilinear", align_corners=False))
    return layer.fuse(torch.cat(maps, dim=1))[0]


def doubled(x: Tensor, deconvolution: nn.ConvTranspose2d) -> Tensor:
    """(C, H, W) to (C, 2H, 2W): each position becomes a square of four by the four taps of the kernel."""
    channels, height, width = x.shape
    out = torch.zeros(channels, 2 * height, 2 * width)
    for i in range(height):
        for j in range(width):
            for k in (0, 1):
                for m in (0, 1):
                    weight = deconvolution.weight[:, :, k, m]  # (in, out)
                    out[:, 2 * i + k, 2 * j + m] = x[:, i, j] @ weight + deconvolution.bias
    return out


def feature_pyramid(layer: nn.Module, maps: list[Tensor]) -> list[Tensor]:
    """BEiT's Feature2Pyramid on one image: four maps (C, H, W) of one stride."""
    first, norm, gelu, second = layer.levels[0]
    quarter = doubled(gelu(norm(doubled(maps[0], first)[None]))[0], second)
    channels, height, width = maps[3].shape
    halved = torch.zeros(channels, math.ceil(height / 2), math.ceil(width / 2))
    for i in range(halved.shape[1]):
        for j in range(halved.shape[2]):
            halved[:, i, j] = maps[3][:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((1, 2))
    return [quarter, doubled(maps[1], layer.levels[1]), maps[2], halved]


def shifted_window_attention(block: nn.Module, x: Tensor) -> Tensor:
    """Swin's attention (section 3.2) on one image's tokens (H, W, C): padded, shifted, windows of one region each."""
    height, width, _ = x.shape
    window, shift = block.window_size[0], block.shift_size[0]
    padded = windowed_padding(x, window)
    rows, columns = padded.shape[:2]
    out = torch.zeros_like(padded)
    for top in range(0, rows, window):
        for left in range(0, columns, window):
            # (row, column) in the padded map of each place in this window, and the region that it came from.
            shifts = [(top + i + shift, left + j + shift) for i in range(window) for j in range(window)]
            places = [(row % rows, column % columns) for row, column in shifts]
            wrapped = [(row >= rows, column >= columns) for row, column in shifts]
            tokens = torch.stack([padded[place] for place in places])
            alike = torch.tensor([[a == b for b in wrapped] for a in wrapped])
            attended = _biased_attention(block.attn, tokens, alike)
            for place, token in zip(places, attended):
                out[place] = token
    return out[:height, :width]


def _biased_attention(attention: nn.Module, tokens: Tensor, allowed: Tensor) -> Tensor:
    query, key, value = attention.qkv(tokens).unflatten(-1, (3, attention.num_heads, -1)).unbind(1)
    bias = attention.relative_position_bias_table[attention.relative_position_index]  # (tokens, tokens, heads)
    heads = []
    for head in range(attention.num_heads):
        scores = query[:, head] @ key[:, head].T * attention.scale + bias[..., head]
        heads.append(scores.masked_fill(~allowed, -torch.inf).softmax(-1) @ value[:, head])
    return attention.proj(torch.cat(heads, dim=-1))
