"""The layer of a backbone to which each parameter belongs, by family, as layer-wise learning-rate decay counts it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerFamily:
    """How a family names its blocks: `block` has one group, the block, or two, stage and block.

    `between` are the layers that lead into a stage, if the family has stages; its group is the stage. Where other
    families name theirs alike, `marker` is a name that only this one has.
    """

    block: str
    between: str | None = None
    by_stage: bool = False
    first_stage: int = 0
    marker: str = ""


LAYER_FAMILIES = {
    "convnext": LayerFamily(
        r"\bstages[._](\d+)\.blocks\.(\d+)\.",
        r"\bstages[._](\d+)\.downsample\.",
        by_stage=True,
        marker=r"\bstages[._]\d+\.blocks\.\d+\.conv_dw\.",
    ),
    "swin": LayerFamily(r"\blayers[._](\d+)\.blocks\.(\d+)\.", r"\blayers[._](\d+)\.downsample\."),
    "mix_transformer": LayerFamily(r"\bblock(\d)\.(\d+)\.", r"\bpatch_embed(\d)\.", first_stage=1),
    "vit": LayerFamily(r"(?<!\d\.)\bblocks\.(\d+)\.(?!\d)"),
}
"""By the names of parameters, since a backbone may be wrapped. A ViT's blocks come neither after a number, as those of
many families with stages do, nor before one, as EfficientNet's do."""

EMBEDDINGS = re.compile(r"\b(stem|patch_embed|pos_embed\w*|cls_token|reg_token|dist_token|mask_token)\b|\bstem_\d")


def layer_ids(names: Iterable[str]) -> tuple[dict[str, int], int] | None:
    """Return ({name: layer}, the layer of what comes after the last block), or None where no family fits `names`.

    Stems and embeddings are layer 0. Blocks count from 1 through all stages (Bao et al., BEiT, ICLR 2022), and the
    layers that lead into a stage belong to the block before it. ConvNeXt (Liu et al., CVPR 2022) counts stages from 1,
    its downsampling belongs to the stem, and its number of layers is a third of stage 3's blocks plus 3. Everything
    else, such as norms after the blocks and heads, is one layer above these.
    """
    names = list(names)
    for family in LAYER_FAMILIES.values():
        depths = _depths(names, family)
        if depths and any(re.search(family.marker, name) for name in names):
            layers = 3 + depths[2] // 3 if family.by_stage else sum(depths)
            return {name: _layer(name, family, depths, layers) for name in names}, layers + 1
    return None


def _depths(names: list[str], family: LayerFamily) -> list[int]:
    """Return the number of blocks of each stage; a family without stages has one."""
    found = [match.groups() for name in names if (match := re.search(family.block, name))]
    blocks = [(int(stage) - family.first_stage, int(block)) for *before, block in found for stage in before or ["0"]]
    stages = max((stage for stage, _ in blocks), default=-1) + 1
    return [max(block for of, block in blocks if of == stage) + 1 for stage in range(stages)]


def _layer(name: str, family: LayerFamily, depths: list[int], layers: int) -> int:
    if block := re.search(family.block, name):
        *stage, number = map(int, block.groups())
        before = stage[0] - family.first_stage if stage else 0
        return before + 1 if family.by_stage else sum(depths[:before]) + number + 1
    if family.between and (into := re.search(family.between, name)):
        return 0 if family.by_stage else sum(depths[: int(into[1]) - family.first_stage])
    return 0 if EMBEDDINGS.search(name) else layers + 1
