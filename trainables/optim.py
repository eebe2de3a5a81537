"""Optimizers and learning-rate schedules by name."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from trainables.errors import UserError
from trainables.known_names import ONE_CYCLE
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
    scales = _layer_scales(model, layer_decay)
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
    options: dict[str, Any] = {"momentum": momentum} if name == "sgd" else {}
    if all(parameter.is_cuda for parameter in model.parameters()):
        options["fused"] = True  # updates all tensors in one kernel
    return OPTIMIZERS[name]([{"name": key, **groups[key]} for key in sorted(groups)], lr=lr, **options)


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


def poly(progress: float, *, power: float = 0.9) -> float:
    """Return (1 - progress)^power (Liu et al., ParseNet, 2015; the power 0.9 is DeepLab's)."""
    return (1 - progress) ** power


def linear(progress: float) -> float:
    """Return 1 - progress, which is poly with power 1, as in the papers on transformers."""
    return poly(progress, power=1.0)


def step(progress: float, *, milestones: tuple[float, ...] = (0.75, 0.9), gamma: float = 0.1) -> float:
    """Return `gamma` to the power of the number of `milestones`, which are shares of the run, that have been
    reached.
    """
    return gamma ** sum(progress >= milestone for milestone in milestones)


def cosine(progress: float) -> float:
    """Return (1 + cos(pi progress)) / 2 (Loshchilov and Hutter, SGDR, 2017, equation 5 without restarts)."""
    return (1 + math.cos(math.pi * progress)) / 2


def cosine_restarts(progress: float, *, cycles: int = 3, growth: int = 2) -> float:
    """Return the value of `cycles` cosines, each `growth` times as long as the one before it (SGDR, T_mult).

    The last cosine ends with the run.
    """
    lengths = [growth**cycle for cycle in range(cycles)]
    position = progress * sum(lengths)
    for length in lengths[:-1]:
        if position < length:
            return cosine(position / length)
        position -= length
    return cosine(position / lengths[-1])


SCHEDULES: dict[str, Callable[..., float]] = {
    "poly": poly,
    "linear": linear,
    "step": step,
    "cosine": cosine,
    "cosine_restarts": cosine_restarts,
}
"""Functions from progress, 0 (the end of warm-up) to 1 (the end of the run), to a factor of the learning rate."""

SCHEDULE_NAMES = (*SCHEDULES, ONE_CYCLE)


def build_schedule(
    optimizer: Optimizer, name: str, *, total_steps: int, warmup_steps: int = 0, **options: Any
) -> LambdaLR | OneCycleLR:
    """Return a learning-rate schedule, to be stepped after each optimizer step.

    one_cycle is PyTorch's (Smith and Topin, Super-convergence, 2018): a cosine from 1/25 of the rate up to it over the
    warm-up, by default three tenths of the run, and another down to nothing, while momentum or beta1 goes from 0.95 to
    0.85 and back.

    With all others every parameter group's rate is its own times one factor. In warm-up that is (s + 1) / (warmup_steps
    + 1) at step s from 0, so that it is 1 at step `warmup_steps`; from there SCHEDULES[name](progress, **options). Its
    state_dict resumes it, with the optimizer's.

    Args:
        optimizer: The optimizer.
        name: One of SCHEDULE_NAMES.
        total_steps: The number of optimizer steps of the run.
        warmup_steps: The number of steps of the warm-up.
        options: Options of the function in SCHEDULES.

    Raises:
        UserError: The name is unknown, or the warm-up leaves no step.
    """
    if name not in SCHEDULE_NAMES:
        raise UserError(f"unknown schedule {name!r}: choose one of {', '.join(SCHEDULE_NAMES)}")
    if not 0 <= warmup_steps < total_steps:
        raise UserError(f"warmup_steps is {warmup_steps}, but must be at least 0 and below total_steps ({total_steps})")
    if name == ONE_CYCLE:
        rates = [group["lr"] for group in optimizer.param_groups]
        # PyTorch reaches the rate itself at the last step of the warm-up, and divides by zero where that is the first.
        warmup = max(warmup_steps, 1 + 1e-3) / total_steps if warmup_steps else 0.3
        return OneCycleLR(optimizer, rates, total_steps=total_steps, pct_start=warmup)
    curve = partial(SCHEDULES[name], **options)

    def factor(steps_done: int) -> float:
        if steps_done < warmup_steps:
            return (steps_done + 1) / (warmup_steps + 1)
        return curve(min(1.0, (steps_done - warmup_steps) / (total_steps - warmup_steps)))

    return LambdaLR(optimizer, factor)
