"""torchvision's names of EfficientNets and MobileNets: blocks' layers are numbered there, in timm they are named."""

import re
from bisect import bisect_right
from itertools import accumulate

from torch import Tensor

from trainables.models.pretrained.dialects.base import Dialect, Tensors

# Blocks in each of timm's stages, by the number of all. MobileNetV2, and V3 large and small: their blocks are numbered
# throughout. V3's last convolution is a stage of its own in timm.
STAGES = {17: (1, 2, 3, 4, 3, 3, 1), 15: (1, 2, 3, 4, 2, 3), 11: (1, 2, 3, 2, 3)}
MOST_WITH_SMALL_EPS = 32  # blocks of EfficientNet-B4; those with more are B5 to B7 and V2
EXCITATION = {"fc1": "se.conv_reduce", "fc2": "se.conv_expand"}


def _to_timm(key: str, tensor: Tensor, given: Tensors) -> Tensors:
    in_block = re.fullmatch(r"(features\.(\d+)(?:\.(\d+))?\.block\.)(\d+)\.(\w+)\.(\w+)", key)
    last = re.fullmatch(r"features\.(\d+)\.([01])\.(\w+)", key)
    if in_block:
        block, stage, index, part, layer, kind = in_block.groups()
        stage, index = (int(stage) - 1, index) if index else _stage_and_index(int(stage) - 1, given)
        return {f"blocks.{stage}.{index}.{_layer(block, int(part), layer, given)}.{kind}": tensor}
    if last and (depths := STAGES.get(int(last[1]) - 1)):
        return {f"blocks.{len(depths)}.0.{('conv', 'bn1')[int(last[2])]}.{last[3]}": tensor}
    return {key: tensor}


def _stage_and_index(number: int, given: Tensors) -> tuple[int, int]:
    """Return the stage of block `number`, which counts all blocks from 0, and its index in the stage."""
    blocks = {found[1] for name in given if (found := re.match(r"features\.(\d+)\.block\.", name))}
    starts = [0, *accumulate(STAGES.get(len(blocks), (len(blocks),)))]
    stage = bisect_right(starts, number) - 1
    return stage, number - starts[stage]


def _layer(block: str, part: int, layer: str, given: Tensors) -> str:
    """Return timm's name of a layer of the part of the block at `part`.

    "0" is the part's convolution and "1" is its norm.
    """
    if layer in EXCITATION:
        return EXCITATION[layer]
    parts = [other for other in range(4) if f"{block}{other}.0.weight" in given]
    if layer == "1":
        return f"bn{parts.index(part) + 1}"
    depthwise_first = given[f"{block}{parts[0]}.0.weight"].shape[1] == 1
    names = {
        1: ("conv",),
        2: ("conv_dw", "conv_pw") if depthwise_first else ("conv_exp", "conv_pwl"),
        3: ("conv_pw", "conv_dw", "conv_pwl"),
    }
    return names[len(parts)][parts.index(part)]


def _eps(given: Tensors) -> float:
    """Return what torchvision's norms add: 1e-3 as in TensorFlow in MobileNetV3, B5 to B7 and V2, else 1e-5."""
    blocks = {found[1] for name in given if (found := re.match(r"features\.(\d+\.\d+|\d+)\.(block|conv)\.", name))}
    return 1e-3 if len(blocks) in (11, 15) or len(blocks) > MOST_WITH_SMALL_EPS else 1e-5


INVERTED_RESIDUALS = (
    Dialect(
        "torchvision's EfficientNet or MobileNet",
        r"^features\.1(\.0)?\.(block|conv)\.0\.0\.weight$",
        (
            (r"^features\.0\.0\.", "conv_stem."),
            (r"^features\.0\.1\.", "bn1."),
            # MobileNetV2 wraps a block's other convolutions, and not the last one and its norm.
            (r"^features\.1\.conv\.([12])\.(?!\d)", lambda m: f"features.1.block.1.{int(m[1]) - 1}."),
            (r"\.conv\.([23])\.(?!\d)", lambda m: f".block.2.{int(m[1]) - 2}."),
            (r"\.conv\.(\d)\.(\d)\.", r".block.\1.\2."),
        ),
        _to_timm,
        eps=_eps,
    ),
)
