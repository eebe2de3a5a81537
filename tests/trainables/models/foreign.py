"""timm's state dicts renamed into other code bases' words, by tables of their own: what test_checkpoints reads back."""

import re

import torch


def renamed(state, *pairs):
    out = {}
    for key, tensor in state.items():
        for pattern, replacement in pairs:
            key = re.sub(pattern, replacement, key)
        out[key] = tensor
    return out


def stage_before(match):
    return f"layers.{int(match[1]) - 1}.downsample"


def swin_authors(state):
    """Patch merging at the end of a stage; buffers that timm recomputes; a plain classifier."""
    state = renamed(state, (r"layers\.(\d)\.downsample", stage_before), (r"head\.fc\.", "head."))
    tables = [key for key in state if key.endswith("relative_position_bias_table")]
    buffers = {key.replace("bias_table", "index"): torch.zeros(49, 49, dtype=torch.int64) for key in tables}
    return {"model": {**state, **buffers, "layers.0.blocks.1.attn_mask": torch.zeros(64, 49, 49)}}


def unfolded(weight):
    """Columns as torch.nn.Unfold orders them: channels slowest, then rows, then columns of the 2 x 2 patch."""
    width = weight.shape[-1] // 4
    order = [(2 * right + below) * width + channel for channel in range(width) for below in (0, 1) for right in (0, 1)]
    return weight[..., order]


def mmseg_swin(state):
    state = {key: unfolded(tensor) if "downsample" in key else tensor for key, tensor in state.items()}
    state = renamed(
        state,
        (r"layers\.(\d)\.downsample", stage_before),
        (r"^layers", "stages"),
        (r"attn\.", "attn.w_msa."),
        (r"mlp\.fc1", "ffn.layers.0.0"),
        (r"mlp\.fc2", "ffn.layers.1"),
        (r"patch_embed\.proj", "patch_embed.projection"),
    )
    state = {"backbone." + key: tensor for key, tensor in state.items() if not key.startswith(("head", "norm"))}
    heads = {"decode_head.conv_seg.weight": torch.zeros(150, 512, 1, 1), "backbone.norm0.weight": torch.ones(24)}
    return {"meta": {"CLASSES": ("wall", "sky"), "epoch": 3}, "state_dict": {**state, **heads}}


def torchvision_swin(state):
    return renamed(
        state,
        (r"^patch_embed\.proj", "features.0.0"),
        (r"^patch_embed\.norm", "features.0.2"),
        (r"^layers\.(\d)\.blocks\.", lambda m: f"features.{2 * int(m[1]) + 1}."),
        (r"^layers\.(\d)\.downsample\.", lambda m: f"features.{2 * int(m[1])}."),
        (r"mlp\.fc1", "mlp.0"),
        (r"mlp\.fc2", "mlp.3"),
    )


def mmseg_mit(state):
    """torch.nn.MultiheadAttention's one tensor for query, key and value; linear layers as 1 x 1 convolutions."""
    out = {}
    for key, tensor in state.items():
        if ".attn.kv." in key:
            continue
        if ".attn.q." in key:
            tensor = torch.cat([tensor, state[key.replace(".q.", ".kv.")]])
        if re.search(r"\.fc[12]\.weight", key):
            tensor = tensor[..., None, None]
        out[key] = tensor
    out = renamed(
        out,
        (r"attn\.q\.", "attn.attn.in_proj_"),
        (r"attn\.proj\.", "attn.attn.out_proj."),
        (r"mlp\.fc1", "ffn.layers.0"),
        (r"mlp\.dwconv\.dwconv", "ffn.layers.1"),
        (r"mlp\.fc2", "ffn.layers.4"),
        (r"^(patch_embed\d)\.proj", r"\1.projection"),
        (r"^patch_embed(\d)", lambda m: f"layers.{int(m[1]) - 1}.0"),
        (r"^block(\d)", lambda m: f"layers.{int(m[1]) - 1}.1"),
        (r"^norm(\d)", lambda m: f"layers.{int(m[1]) - 1}.2"),
    )
    return {"state_dict": {"backbone." + key: tensor for key, tensor in out.items()}}


def mmseg_vit(state):
    out = renamed(
        state,
        (r"norm([12])", r"ln\1"),
        (r"^norm\.", "ln1."),
        (r"mlp\.fc1", "ffn.layers.0.0"),
        (r"mlp\.fc2", "ffn.layers.1"),
        (r"attn\.qkv\.(weight|bias)", r"attn.attn.in_proj_\1"),
        (r"attn\.proj", "attn.attn.out_proj"),
        (r"patch_embed\.proj", "patch_embed.projection"),
        (r"^blocks", "layers"),
    )
    return {"state_dict": {"module.backbone." + key: tensor for key, tensor in out.items()}}


def mmseg_beit(state):
    out = renamed(
        state,
        (r"(blocks.*)norm", r"\1ln"),
        (r"mlp\.fc1", "ffn.layers.0.0"),
        (r"mlp\.fc2", "ffn.layers.1"),
        (r"patch_embed\.proj", "patch_embed.projection"),
        (r"^blocks", "layers"),
    )
    return {"backbone." + key: tensor for key, tensor in out.items()}


def mmseg_resnet_v1c(state):
    out = renamed(state, (r"^conv1\.(\d)", r"stem.\1"), (r"^bn1\.", "stem.7."))
    return {"state_dict": {"backbone." + key: tensor for key, tensor in out.items() if not key.startswith("fc")}}


def torchvision_convnext(state):
    out = {key: tensor[:, None, None] if key.endswith("gamma") else tensor for key, tensor in state.items()}
    return renamed(
        out,
        (r"^stem\.", "features.0."),
        (r"^stages\.(\d)\.downsample\.", lambda m: f"features.{2 * int(m[1])}."),
        (r"^stages\.(\d)\.blocks\.", lambda m: f"features.{2 * int(m[1]) + 1}."),
        (r"conv_dw", "block.0"),
        (r"(features\.\d+\.\d+)\.norm", r"\1.block.2"),
        (r"mlp\.fc1", "block.3"),
        (r"mlp\.fc2", "block.5"),
        (r"gamma", "layer_scale"),
        (r"head\.norm", "classifier.0"),
        (r"head\.fc", "classifier.2"),
    )


def convnext_authors(state):
    """Version 2's response normalisation has four dimensions there."""
    out = {key: tensor[None, None, None] if "grn" in key else tensor for key, tensor in state.items()}
    out = renamed(
        out,
        (r"^stem", "downsample_layers.0"),
        (r"^stages\.(\d)\.downsample", r"downsample_layers.\1"),
        (r"blocks\.", ""),
        (r"conv_dw", "dwconv"),
        (r"mlp\.grn\.weight", "grn.gamma"),
        (r"mlp\.grn\.bias", "grn.beta"),
        (r"mlp\.fc", "pwconv"),
        (r"head\.norm", "norm"),
        (r"head\.fc", "head"),
    )
    return {"model": out}


def mmseg_convnext(state):
    out = renamed(
        convnext_authors(state)["model"],
        (r"dwconv", "depthwise_conv"),
        (r"pwconv", "pointwise_conv"),
    )
    return {"state_dict": {"backbone." + key: tensor for key, tensor in out.items()}}


def distributed(state):
    """As torch's DistributedDataParallel saves it."""
    return {"module." + key: tensor for key, tensor in state.items()}


def gated(state):
    return renamed(state, (r"mlp\.fc1", "mlp.w12"), (r"mlp\.fc2", "mlp.w3"))


def dinov2_authors(state):
    """The class token has a position of its own there, and a token for masked patches that only pretraining needs."""
    place = torch.full_like(state["cls_token"], 0.25)  # subtracted and added again without rounding
    out = renamed(gated(state), (r"^reg_token$", "register_tokens"))
    out["cls_token"] = state["cls_token"] - place
    out["pos_embed"] = torch.cat([place, state["pos_embed"]], dim=1)
    return out | {"mask_token": torch.zeros(1, state["cls_token"].shape[-1])}
