"""mmsegmentation's names."""

import re

from torch import Tensor

from trainables.models.pretrained.dialects.base import Dialect, Tensors, one_stage_on

FEED_FORWARD = ((r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."), (r"\.ffn\.layers\.1\.", ".mlp.fc2."))


def _from_unfold(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """Return a patch-merging tensor in the order of Swin's authors.

    mmsegmentation merges patches by unfolding: the four neighbours vary fastest, and the right one comes second.
    Elsewhere channels vary fastest, and the neighbour below comes second.
    """
    if ".downsample." not in key:
        return {key: tensor}
    grouped = tensor.unflatten(-1, (tensor.shape[-1] // 4, 4))[..., [0, 2, 1, 3]]
    return {key: grouped.transpose(-1, -2).flatten(-2)}


def _split_query(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """Return tensors with the query apart from key and value.

    torch's MultiheadAttention has the three in one tensor, while SegFormer's attention has the query alone.
    """
    found = re.fullmatch(r"(.*\.attn\.)in_proj_(weight|bias)", key)
    if not found:
        return {key: tensor}
    width = len(tensor) // 3
    return {f"{found[1]}q.{found[2]}": tensor[:width], f"{found[1]}kv.{found[2]}": tensor[width:]}


MMSEGMENTATION = (
    Dialect(
        "mmsegmentation's Swin",
        r"^stages\.\d+\.blocks\.\d+\.attn\.w_msa\.relative_position_bias_table$",
        (
            (r"^patch_embed\.projection\.", "patch_embed.proj."),
            (r"^stages\.(\d+)\.downsample\.", one_stage_on),
            (r"^stages\.", "layers."),
            (r"\.attn\.w_msa\.", ".attn."),
            *FEED_FORWARD,
        ),
        _from_unfold,
    ),
    Dialect(
        "mmsegmentation's Mix Transformer",
        r"^layers\.0\.1\.0\.attn\.attn\.in_proj_weight$",
        (
            (r"^layers\.(\d)\.0\.(projection|norm)\.", lambda m: f"patch_embed{int(m[1]) + 1}.{m[2]}."),
            (r"^(patch_embed\d)\.projection\.", r"\1.proj."),
            (r"^layers\.(\d)\.1\.", lambda m: f"block{int(m[1]) + 1}."),
            (r"^layers\.(\d)\.2\.", lambda m: f"norm{int(m[1]) + 1}."),
            (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
            (r"\.attn\.attn\.", ".attn."),
            (r"\.ffn\.layers\.0\.", ".mlp.fc1."),
            (r"\.ffn\.layers\.1\.", ".mlp.dwconv.dwconv."),
            (r"\.ffn\.layers\.4\.", ".mlp.fc2."),
        ),
        _split_query,
    ),
    Dialect(
        "mmsegmentation's ViT or BEiT",
        r"^layers\.\d+\.ln1\.weight$",
        (
            (r"^patch_embed\.projection\.", "patch_embed.proj."),
            (r"^layers\.(\d+)\.", r"blocks.\1."),
            (r"(^|\.)ln([12])\.", r"\1norm\2."),
            (r"^norm1\.", "norm."),
            (r"\.attn\.attn\.in_proj_", ".attn.qkv."),
            (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
            *FEED_FORWARD,
        ),
    ),
    Dialect(
        "mmsegmentation's ResNet V1c",
        r"^stem\.7\.running_mean$",
        ((r"^stem\.([01346])\.", r"conv1.\1."), (r"^stem\.7\.", "bn1.")),
    ),
)
