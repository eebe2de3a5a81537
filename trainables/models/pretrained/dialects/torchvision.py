"""torchvision's names, save for those that are timm's, too: its ResNets', DenseNets' and VGGs'."""

import re
from collections.abc import Callable

from torch import Tensor

from trainables.models.pretrained.dialects.base import IMAGENET, Dialect, Tensors


def _stage(before: str, after: str) -> Callable[[re.Match], str]:
    """Return a function that makes timm's name of a stage or a patch merging from a match.

    torchvision numbers stem, stage, merging, stage, … in one sequence: stage N is 2 N + 1, and the merging before it 2
    N.
    """
    return lambda match: f"{before}.{int(match[1]) // 2}.{after}" + "".join(f"{group}." for group in match.groups()[1:])


def _split_bias(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """Return tensors with the bias of query, key and value in timm's two parts.

    torchvision's Swin v2 has a single bias; timm leaves out the key's, which has no effect.
    """
    block = key.removesuffix("qkv.bias")
    if block == key or f"{block}logit_scale" not in given:
        return {key: tensor}
    query, _, value = tensor.chunk(3)
    return {f"{block}q_bias": query, f"{block}v_bias": value}


TORCHVISION = (
    Dialect(
        "torchvision's Swin",
        r"^features\.1\.0\.attn\.qkv\.weight$",
        (
            (r"^features\.0\.0\.", "patch_embed.proj."),
            (r"^features\.0\.2\.", "patch_embed.norm."),
            (r"^features\.(\d+)\.(\d+)\.", _stage("layers", "blocks.")),
            (r"^features\.(\d+)\.(norm|reduction)\.", _stage("layers", "downsample.")),
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
        statistics=IMAGENET,
    ),
    Dialect(
        "torchvision's ConvNeXt",
        r"^features\.1\.0\.block\.5\.weight$",
        (
            (r"^features\.0\.([01])\.", r"stem.\1."),
            (r"^features\.(\d*[13579])\.(\d+)\.", _stage("stages", "blocks.")),
            (r"^features\.(\d+)\.([01])\.", _stage("stages", "downsample.")),
            (r"\.block\.0\.", ".conv_dw."),
            (r"\.block\.2\.", ".norm."),
            (r"\.block\.3\.", ".mlp.fc1."),
            (r"\.block\.5\.", ".mlp.fc2."),
            (r"\.layer_scale$", ".gamma"),
            (r"^classifier\.0\.", "head.norm."),
        ),
    ),
    Dialect(
        "torchvision's RegNet",
        r"^trunk_output\.block1\.block1-0\.f\.a\.0\.weight$",
        (
            (r"^stem\.0\.", "stem.conv."),
            (r"^stem\.1\.", "stem.bn."),
            (r"^trunk_output\.block(\d)\.block\d-(\d+)\.", lambda m: f"s{m[1]}.b{int(m[2]) + 1}."),
            (r"\.proj\.", ".downsample."),
            (r"\.f\.([abc])\.", lambda m: f".conv{' abc'.index(m[1])}."),
            (r"\.f\.se\.", ".se."),
            (r"\.(downsample|conv\d)\.0\.", r".\1.conv."),
            (r"\.(downsample|conv\d)\.1\.", r".\1.bn."),
        ),
    ),
)
