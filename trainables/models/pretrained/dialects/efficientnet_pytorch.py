"""The names of EfficientNets in the package efficientnet_pytorch, which numbers blocks from first to last."""

import re
from itertools import groupby

from torch import Tensor

from trainables.models.pretrained.dialects.base import Dialect, Tensors

WITH_EXPANSION = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
WITHOUT_EXPANSION = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
EXCITATION = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}


def _to_timm(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    """Return the tensor under its name in timm, where blocks are counted within their stage."""
    found = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if not found:
        return {key: tensor}
    block, layer, kind = int(found[1]), found[2], found[3]
    expands = f"_blocks.{block}._expand_conv.weight" in given
    names = EXCITATION | (WITH_EXPANSION if expands else WITHOUT_EXPANSION)
    stage, index = _stages(given)[block]
    return {f"blocks.{stage}.{index}.{names.get(layer, layer)}.{kind}": tensor}


def _stages(given: Tensors) -> dict[int, tuple[int, int]]:
    """Return {block: (stage, index in the stage)}: the blocks of a stage share a width that the next stage changes."""
    widths = {
        int(found[1]): len(tensor)
        for key, tensor in given.items()
        if (found := re.fullmatch(r"_blocks\.(\d+)\._project_conv\.weight", key))
    }
    stages = [list(blocks) for _, blocks in groupby(sorted(widths), key=widths.get)]
    return {block: (stage, index) for stage, blocks in enumerate(stages) for index, block in enumerate(blocks)}


EFFICIENTNET_PYTORCH = (
    Dialect(
        "efficientnet_pytorch's",
        r"^_conv_stem\.weight$",
        (
            (r"^_conv_stem\.", "conv_stem."),
            (r"^_bn0\.", "bn1."),
            (r"^_conv_head\.", "conv_head."),
            (r"^_bn1\.", "bn2."),
            (r"^_fc\.", "classifier."),
        ),
        _to_timm,
        eps=lambda given: 1e-3,
    ),
)
