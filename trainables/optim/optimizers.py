"""Optimizers by name, and the groups of parameters that they treat alike."""

import math
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from trainables.errors import UserError
from trainables.models.backbones.layer_decay import layer_ids

OPTIMIZERS: dict[str, type[Optimizer]] = {"adamw": AdamW, "adam": Adam, "sgd": SGD}

# Tables of positions, tokens and temperatures have several dimensions, but should not shrink towards zero.
NO_DECAY_NAMES = (
    "relative_position_bias_table", "pos_embed", "mix_positions", "cpb_mlp", "logit_scale",
    "rel_pos", "attention_biases", "temperature",
    "cls_token", "mask_token", "reg_token", "dist_token",
)  # fmt: skip


def build_optimizer(
    model: nn.Module,
    name: str,
    *,
    lr: float,
    head_lr: float | None = None,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    layer_decay: float = 1.0,
) -> Optimizer:
    """Return the optimizer `name` over all of `model`'s trainable parameters.

    Norms, biases and other one-dimensional parameters, tokens and tables of positions have no weight decay. Groups are
    named backbone or head, "/", decay or no_decay, with "/" and the layer's number after backbone where layers differ.

    Args:
        model: The model, whose attribute `backbone` is its backbone.
        name: A key of OPTIMIZERS.
        lr: The learning rate of the backbone's parameters.
        head_lr: The learning rate of all others; None for `lr`.
        weight_decay: The weight decay.
        momentum: The momentum of SGD.
        layer_decay: With d below 1, layer i of n of a backbone learns at lr d^(n - i), where layer n comes after the
            last block (see trainables/models/backbones/layer_decay.py).

    Raises:
        UserError: The name is unknown, a value is out of range, or `layer_decay` is below 1 and the order of the
            backbone's layers is not known.
    """
    if name not in OPTIMIZERS:
        raise UserError(f"unknown optimizer {name!r}: choose one of {', '.join(OPTIMIZERS)}")
    head_lr = lr if head_lr is None else head_lr
    _check_rates(lr=lr, head_lr=head_lr, weight_decay=weight_decay, momentum=momentum, layer_decay=layer_decay)
    groups = _parameter_groups(model, lr, head_lr, weight_decay, _layer_scales(model, layer_decay))
    options: dict[str, Any] = {"momentum": momentum} if name == "sgd" else {}
    if all(parameter.is_cuda for parameter in model.parameters()):
        options["fused"] = True  # updates all tensors in one kernel
    return OPTIMIZERS[name](groups, lr=lr, **options)


def _parameter_groups(
    model: nn.Module, lr: float, head_lr: float, weight_decay: float, scales: dict[str, tuple[str, float]]
) -> list[dict[str, Any]]:
    """Return the groups of the trainable parameters, ordered by name; `scales` is what `_layer_scales` returns."""
    groups: dict[str, dict[str, Any]] = {}
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        part, scale = scales.get(key, ("head", head_lr / lr))
        decays = parameter.ndim > 1 and not any(table in key for table in NO_DECAY_NAMES)
        group = groups.setdefault(
            f"{part}/{'decay' if decays else 'no_decay'}",
            {"params": [], "lr": lr * scale, "weight_decay": weight_decay if decays else 0.0},
        )
        group["params"].append(parameter)
    return [{"name": key, **groups[key]} for key in sorted(groups)]


def _layer_scales(model: nn.Module, layer_decay: float) -> dict[str, tuple[str, float]]:
    """Return, for each parameter of the backbone, its group's name before the last "/" and the factor of its
    learning rate.
    """
    names = [key for key, _ in model.named_parameters() if key.startswith("backbone.")]
    if layer_decay == 1.0:
        return dict.fromkeys(names, ("backbone", 1.0))
    layers = layer_ids(names)
    if layers is None:
        raise UserError(
            f"layer_decay is {layer_decay}, but this backbone's layers have no known order (ViT, BEiT, Swin, ConvNeXt "
            "and MiT have one): set it to 1"
        )
    ids, last = layers
    return {name: (f"backbone/{layer:02d}", layer_decay ** (last - layer)) for name, layer in ids.items()}


def _check_rates(*, lr: float, head_lr: float, weight_decay: float, momentum: float, layer_decay: float) -> None:
    for key, value in (("lr", lr), ("head_lr", head_lr)):
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{key} is {value}, but must be above 0")
    if not (math.isfinite(weight_decay) and weight_decay >= 0):
        raise UserError(f"weight_decay is {weight_decay}, but must be at least 0")
    if not 0 <= momentum < 1:
        raise UserError(f"momentum is {momentum}, but must be at least 0 and below 1")
    if not 0 < layer_decay <= 1:
        raise UserError(f"layer_decay is {layer_decay}, but must be above 0 and at most 1")
