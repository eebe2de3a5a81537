"""Weights of another code base that are changed so that timm's model, which computes a little otherwise, gives the
same maps with them.
"""

import timm
import torch
from torch import Tensor, nn

from trainables.models.pretrained.dialects.base import IMAGENET, Statistics, Tensors

PATCHES = "patch_embed.proj."


def statistics_of(model: nn.Module) -> Statistics:
    """Return the mean and deviation of each colour, in 0..1, by which photos are normalised for a model of timm.

    The model has them also where it was built by an old name, which timm's list of models lacks. For a model that is
    not timm's they are ImageNet's.
    """
    config = getattr(model, "pretrained_cfg", None)
    return (tuple(config["mean"]), tuple(config["std"])) if config else IMAGENET


def statistics_by_name(name: str) -> Statistics:
    """Return the mean and deviation of each colour that timm lists for a name; ImageNet's where it lists none.

    They are those with which earlier versions of SegVote normalised photos, also for old names of timm's.
    """
    config = timm.models.get_pretrained_cfg(name)
    return (config.mean, config.std) if config else IMAGENET


def same_norms(model: nn.Module, tensors: Tensors, eps: float) -> Tensors:
    """Return the model's tensors for batch norms that added `eps` to the variance where the model's add another.

    Otherwise a channel that hardly varies would be amplified up to ten times as much, or as little.
    """
    changed = dict(tensors)
    for name, norm in model.named_modules():
        weight, variance = (tensors.get(f"{name}.{kind}") for kind in ("weight", "running_var"))
        if isinstance(norm, nn.BatchNorm2d) and norm.eps != eps and weight is not None and variance is not None:
            changed[f"{name}.weight"] = weight * ((variance + norm.eps) / (variance + eps)).sqrt()
    return changed


def same_colours(tensors: Tensors, theirs: Statistics, ours: Statistics) -> Tensors:
    """Return the tensors, in which the embedding of patches takes photos normalised by `ours` instead of `theirs`.

    Tensors without such an embedding are returned as they are.
    """
    keys = [next((key for key in tensors if key.endswith(PATCHES + kind)), None) for kind in ("weight", "bias")]
    if theirs == ours or None in keys:
        return tensors
    weight, bias = (tensors[key] for key in keys)  # (width, 3, side, side) and (width,)
    (their_mean, their_std), (mean, std) = ((_by_channel(values) for values in both) for both in (theirs, ours))
    scaled, shifted = weight * (std / their_std), weight * ((mean - their_mean) / their_std)
    return tensors | dict(zip(keys, (scaled, bias + shifted.sum((1, 2, 3)))))


def _by_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)
