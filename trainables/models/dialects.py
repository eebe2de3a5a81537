"""What other code bases call the tensors of a backbone: tables from their names to timm's."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor

Tensors = dict[str, Tensor]
Rename = tuple[str, str | Callable[[re.Match], str]]


def _one_stage_on(match: re.Match) -> str:
    """Most have patch merging at the end of stage N, timm at the start of stage N + 1."""
    return f"layers.{int(match[1]) + 1}.downsample."


def _torchvision_stage(before: str, after: str) -> Callable[[re.Match], str]:
    """torchvision numbers stem, stage, merging, stage, … alike: stage N is 2 N + 1, the merging before it 2 N."""
    return lambda match: f"{before}.{int(match[1]) // 2}.{after}" + "".join(f"{group}." for group in match.groups()[1:])


def _unchanged(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    return {key: tensor}


def _from_unfold(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """mmsegmentation merges patches by unfolding: the four neighbours vary fastest, and the right one comes second.

    Elsewhere channels vary fastest, and the neighbour below comes second.
    """
    if ".downsample." not in key:
        return {key: tensor}
    grouped = tensor.unflatten(-1, (tensor.shape[-1] // 4, 4))[..., [0, 2, 1, 3]]
    return {key: grouped.transpose(-1, -2).flatten(-2)}


def _split_query(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """torch's MultiheadAttention has query, key and value in one tensor, SegFormer's attention the query alone."""
    found = re.fullmatch(r"(.*\.attn\.)in_proj_(weight|bias)", key)
    if not found:
        return {key: tensor}
    width = len(tensor) // 3
    return {f"{found[1]}q.{found[2]}": tensor[:width], f"{found[1]}kv.{found[2]}": tensor[width:]}


def _split_bias(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """torchvision's Swin v2 has one bias of query, key and value; timm has two, since the key's does nothing."""
    block = key.removesuffix("qkv.bias")
    if block == key or f"{block}logit_scale" not in given:
        return {key: tensor}
    query, _, value = tensor.chunk(3)
    return {f"{block}q_bias": query, f"{block}v_bias": value}


def _one_table_for_all(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """BEiT pretrains with one bias table for all blocks; each gets a copy to train on."""
    if key != "rel_pos_bias.relative_position_bias_table":
        return {key: tensor}
    blocks = {found[0] for name in given if (found := re.match(r"blocks\.\d+\.", name))}
    return {f"{block}attn.relative_position_bias_table": tensor for block in blocks}


def _class_position_in_token(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """DINOv2's table of positions begins with the class token's, which timm adds to the token once and for all."""
    if key == "cls_token":
        return {key: tensor + given["pos_embed"][:, :1]}
    return {key: tensor[:, 1:] if key == "pos_embed" else tensor}


@dataclass(frozen=True)
class Dialect:
    """`marker` is a pattern that only this dialect's keys match; `renames` are applied in order, `change` last."""

    name: str
    marker: str
    renames: tuple[Rename, ...] = ()
    change: Callable[[str, Tensor, Tensors], Tensors] = _unchanged  # gets all that is given, too

    def to_timm(self, state: Tensors) -> Tensors:
        renamed = {self._rename(key): tensor for key, tensor in state.items()}
        changed: Tensors = {}
        for key, tensor in renamed.items():
            changed |= self.change(key, tensor, renamed)
        return changed

    def _rename(self, key: str) -> str:
        for pattern, replacement in self.renames:
            key = re.sub(pattern, replacement, key)
        return key


_GATED = ((r"\.mlp\.w12\.", ".mlp.fc1."), (r"\.mlp\.w3\.", ".mlp.fc2."))
_FEED_FORWARD = ((r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."), (r"\.ffn\.layers\.1\.", ".mlp.fc2."))

DIALECTS = (
    Dialect(
        "mmsegmentation's Swin",
        r"^stages\.\d+\.blocks\.\d+\.attn\.w_msa\.relative_position_bias_table$",
        (
            (r"^patch_embed\.projection\.", "patch_embed.proj."),
            (r"^stages\.(\d+)\.downsample\.", _one_stage_on),
            (r"^stages\.", "layers."),
            (r"\.attn\.w_msa\.", ".attn."),
            *_FEED_FORWARD,
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
            *_FEED_FORWARD,
        ),
    ),
    Dialect(
        "mmsegmentation's ResNet V1c",
        r"^stem\.7\.running_mean$",
        ((r"^stem\.([01346])\.", r"conv1.\1."), (r"^stem\.7\.", "bn1.")),
    ),
    Dialect(
        "torchvision's Swin",
        r"^features\.1\.0\.attn\.qkv\.weight$",
        (
            (r"^features\.0\.0\.", "patch_embed.proj."),
            (r"^features\.0\.2\.", "patch_embed.norm."),
            (r"^features\.(\d+)\.(\d+)\.", _torchvision_stage("layers", "blocks.")),
            (r"^features\.(\d+)\.(norm|reduction)\.", _torchvision_stage("layers", "downsample.")),
            (r"\.mlp\.0\.", ".mlp.fc1."),
            (r"\.mlp\.3\.", ".mlp.fc2."),
        ),
        _split_bias,
    ),
    Dialect(
        "torchvision's ViT",
        r"^layers\.encoder_layer_0\.self_attention\.in_proj_weight$",
        (
            (r"^conv_proj\.", "patch_embed.proj."),
            (r"^class_token$", "cls_token"),
            (r"^pos_embedding$", "pos_embed"),
            (r"^layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
            (r"\.ln_([12])\.", r".norm\1."),
            (r"^ln\.", "norm."),
            (r"\.self_attention\.in_proj_", ".attn.qkv."),
            (r"\.self_attention\.out_proj\.", ".attn.proj."),
            (r"\.mlp\.(0|linear_1)\.", ".mlp.fc1."),
            (r"\.mlp\.(3|linear_2)\.", ".mlp.fc2."),
        ),
    ),
    Dialect(
        "torchvision's ConvNeXt",
        r"^features\.1\.0\.block\.5\.weight$",
        (
            (r"^features\.0\.([01])\.", r"stem.\1."),
            (r"^features\.(\d*[13579])\.(\d+)\.", _torchvision_stage("stages", "blocks.")),
            (r"^features\.(\d+)\.([01])\.", _torchvision_stage("stages", "downsample.")),
            (r"\.block\.0\.", ".conv_dw."),
            (r"\.block\.2\.", ".norm."),
            (r"\.block\.3\.", ".mlp.fc1."),
            (r"\.block\.5\.", ".mlp.fc2."),
            (r"\.layer_scale$", ".gamma"),
            (r"^classifier\.0\.", "head.norm."),
        ),
    ),
    Dialect(
        "ConvNeXt's authors' or mmsegmentation's",
        r"^downsample_layers\.0\.0\.weight$",
        (
            (r"^downsample_layers\.0\.", "stem."),
            (r"^downsample_layers\.(\d)\.", r"stages.\1.downsample."),
            (r"^stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
            (r"\.(dwconv|depthwise_conv)\.", ".conv_dw."),
            (r"\.(pwconv|pointwise_conv)([12])\.", r".mlp.fc\2."),
            (r"\.grn\.gamma$", ".mlp.grn.weight"),
            (r"\.grn\.beta$", ".mlp.grn.bias"),
        ),
    ),
    Dialect(
        "Swin's authors'",
        r"^layers\.0\.downsample\.reduction\.weight$",
        ((r"^layers\.(\d+)\.downsample\.", _one_stage_on),),
    ),
    Dialect(
        "BEiT's authors', with one bias table",
        r"^rel_pos_bias\.relative_position_bias_table$",
        change=_one_table_for_all,
    ),
    Dialect(
        "DINOv2's authors', with registers",
        r"^register_tokens$",
        ((r"^register_tokens$", "reg_token"), *_GATED),
        _class_position_in_token,
    ),
    Dialect("DINOv2's authors', of the giant", r"\.mlp\.w12\.weight$", _GATED),
)

TIMM = Dialect("timm's", "")
"""Also what torchvision's ResNets, BEiT's, DeiT's, SegFormer's and DINOv2's authors (no registers) call theirs."""


def recognised(keys: Iterable[str]) -> Dialect:
    """Return the dialect of a backbone's `keys`, TIMM where no other's marker is among them."""
    keys = list(keys)
    return next((dialect for dialect in DIALECTS if any(re.search(dialect.marker, key) for key in keys)), TIMM)
