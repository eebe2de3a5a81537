"""The smallest backbone of each family: timm's own where it is small, else timm's classes at a fraction of the size.

Importing this registers the latter with timm, under names that begin as their family's.
"""

from collections.abc import Callable
from typing import Any

from timm.models import (
    beit,
    convnext,
    efficientnet,
    hrnet,
    register_model,
    resnet,
    swin_transformer,
    swin_transformer_v2,
)
from timm.models import vision_transformer as vit
from torch import nn

VIT = {"embed_dim": 32, "depth": 4, "num_heads": 2}
SWIN = {"patch_size": 4, "embed_dim": 16, "depths": (1, 2, 1, 2), "num_heads": (1, 2, 2, 2)}
CONVNEXT = {"depths": (1, 1, 1, 1), "dims": (16, 24, 32, 48)}
RESNET = {"block": resnet.BasicBlock, "layers": (1, 1, 1, 1), "channels": (16, 24, 32, 48)}
BEIT = {**VIT, "use_abs_pos_emb": False, "init_values": 0.1}
HRNET = {
    f"stage{stage}": {
        "num_modules": 1,
        "num_branches": stage,
        "block_type": "BASIC" if stage > 1 else "BOTTLENECK",
        "num_blocks": (1,) * stage,
        "num_channels": tuple(8 * 2**branch for branch in range(stage)),
        "fuse_method": "SUM",
    }
    for stage in range(1, 5)
}

MICRO: dict[str, tuple[Callable[..., nn.Module], dict[str, Any]]] = {
    "swin_micro": (swin_transformer._create_swin_transformer, {**SWIN, "window_size": 7}),
    "swinv2_micro": (swin_transformer_v2._create_swin_transformer_v2, {**SWIN, "window_size": 8, "img_size": 256}),
    "convnext_micro": (convnext._create_convnext, CONVNEXT),
    "convnextv2_micro": (convnext._create_convnext, {**CONVNEXT, "use_grn": True, "ls_init_value": None}),
    "resnet_micro": (resnet._create_resnet, RESNET),
    "resnetc_micro": (resnet._create_resnet, {**RESNET, "stem_type": "deep", "stem_width": 8}),
    "hrnet_micro": (hrnet._create_hrnet, {**HRNET, "cfg_variant": "hrnet_w18_small"}),
    "efficientnet_micro": (efficientnet._gen_efficientnet, {"channel_multiplier": 0.25, "depth_multiplier": 0.3}),
    "vit_micro": (vit._create_vision_transformer, {**VIT, "patch_size": 16}),
    "deit3_micro": (vit._create_vision_transformer, {**VIT, "no_embed_class": True, "init_values": 0.1}),
    "vit_micro_dinov2": (
        vit._create_vision_transformer,
        {**VIT, "patch_size": 14, "img_size": 70, "reg_tokens": 2, "init_values": 0.1},
    ),
    "beit_micro": (beit._create_beit, {**BEIT, "use_rel_pos_bias": True}),
    "beitv2_micro": (beit._create_beit, {**BEIT, "use_shared_rel_pos_bias": True}),
}

FAMILIES = {
    "Swin": "swin_micro",
    "Swin v2": "swinv2_micro",
    "ConvNeXt": "convnext_micro",
    "ConvNeXt v2": "convnextv2_micro",
    "ResNet": "resnet_micro",
    "ResNet v1c": "resnetc_micro",
    "HRNet": "hrnet_micro",
    "EfficientNet": "efficientnet_micro",
    "MobileNet": "mobilenetv3_small_050",
    "MiT": "mit_b0",
    "ViT": "vit_micro",
    "DeiT 3": "deit3_micro",
    "DINOv2": "vit_micro_dinov2",
    "BEiT": "beit_micro",
    "BEiT v2": "beitv2_micro",
}


def _register(name: str, create: Callable[..., nn.Module], arguments: dict[str, Any]) -> None:
    def make(pretrained: bool = False, **options: Any) -> nn.Module:
        return create(name, pretrained=pretrained, **{**arguments, **options})

    make.__name__ = name
    register_model(make)


for name, (create, arguments) in MICRO.items():
    _register(name, create, arguments)
