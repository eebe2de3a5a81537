"""The names that a model's authors gave, where timm did not keep them."""

import re

from torch import Tensor

from trainables.models.pretrained.dialects.base import Dialect, Tensors, one_stage_on

GATED = ((r"\.mlp\.w12\.", ".mlp.fc1."), (r"\.mlp\.w3\.", ".mlp.fc2."))


def _one_table_for_all(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """Return the tensors with a copy of BEiT's bias table for each block, because its pretraining shares one table."""
    if key != "rel_pos_bias.relative_position_bias_table":
        return {key: tensor}
    blocks = {found[0] for name in given if (found := re.match(r"blocks\.\d+\.", name))}
    return {f"{block}attn.relative_position_bias_table": tensor for block in blocks}


def _class_position_in_token(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """Return DINOv2's tensors with the class token's position added to the token.

    DINOv2's table of positions begins with that position, which timm does not have in its table.
    """
    if key == "cls_token":
        return {key: tensor + given["pos_embed"][:, :1]}
    return {key: tensor[:, 1:] if key == "pos_embed" else tensor}


AUTHORS = (
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
        ((r"^layers\.(\d+)\.downsample\.", one_stage_on),),
    ),
    Dialect(
        "BEiT's authors', with one bias table",
        r"^rel_pos_bias\.relative_position_bias_table$",
        change=_one_table_for_all,
    ),
    Dialect(
        "DINOv2's authors', with registers",
        r"^register_tokens$",
        ((r"^register_tokens$", "reg_token"), *GATED),
        _class_position_in_token,
    ),
    Dialect("DINOv2's authors', of the giant", r"\.mlp\.w12\.weight$", GATED),
)
