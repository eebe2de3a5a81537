"""Backbones: any timm model that makes a feature pyramid, and SegFormer's Mix Transformers, behind one interface."""

import difflib
import itertools
from collections.abc import Sequence
from typing import Any

import timm
from segmentation_models_pytorch.encoders import get_encoder
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from trainables.errors import UserError
from trainables.models.weights import MIX_TRANSFORMERS, Weights, load_weights

PYRAMIDS = ((2, 4, 8, 16, 32), (4, 8, 16, 32), (2, 4, 8, 16, 16), (4, 8, 16, 16))

# Options that a family's factory needs to make features of images of any size.
FAMILY_OPTIONS: dict[str, dict[str, Any]] = {
    "swin_": {"strict_img_size": False},
    "swinv2_": {"strict_img_size": False},
    "swinv2_cr_": {},
}

# Families whose strided layers all round sizes up (97 -> 49 -> 25), so that images need no padding for them.
ROUNDING_UP = (
    *("resnet", "resnext", "wide_resnet", "regnet"),
    *("efficientnet", "tf_efficientnet", "mobilenet", "tf_mobilenet"),
)


class Backbone(nn.Module):
    """A feature extractor. Map i, finest first, is (N, channels[i], about H / strides[i], about W / strides[i]).

    `size_multiple` is what H and W must be multiples of for the backbone alone; `mean` and `std` are what its
    pretrained weights expect images in 0..1 to be normalised with.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        channels: Sequence[int],
        strides: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        size_multiple: int,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.channels = tuple(channels)
        self.strides = tuple(strides)
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.size_multiple = size_multiple
        self.channels_last = channels_last

    def forward(self, images: Tensor) -> list[Tensor]:
        features = list(self.model(images))[-len(self.strides) :]
        if self.channels_last:
            features = [feature.permute(0, 3, 1, 2) for feature in features]  # NHWC -> NCHW
        return features


def check_backbone(name: str) -> None:
    """Raise UserError, with the names nearest to it, where `name` is neither a timm model nor a Mix Transformer."""
    if name in MIX_TRANSFORMERS:
        return
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*MIX_TRANSFORMERS, *timm.list_models()], n=5)
        known = ", ".join(near) if near else "swin_tiny_patch4_window7_224, convnext_tiny, resnet50, mit_b0"
        raise UserError(f"unknown backbone {name!r}: did you mean {known}? timm.list_models() has all names")
    tags = timm.list_pretrained(f"{name.split('.')[0]}.*")
    if "." in name and name not in tags:
        raise UserError(f"unknown pretrained tag in backbone {name!r}: choose one of {', '.join(tags)}")


def build_backbone(
    name: str, *, weights: Weights | None = None, drop_path: float = 0.0, output_stride: int = 32
) -> Backbone:
    """Return the backbone `name`, with `weights` if there are any.

    Where the family can, the deepest map is dilated to `output_stride` (8 or 16); others keep 32, and `strides` of
    what comes back says so. Raises UserError where `drop_path` is above 0 and the family has no stochastic depth,
    where the maps do not form a pyramid of strides 4 to 32, and where the weights do not fit.
    """
    build = _mix_transformer if name in MIX_TRANSFORMERS else _timm_backbone
    return build(name, weights=weights, drop_path=drop_path, output_stride=output_stride)


def _mix_transformer(name: str, *, weights: Weights | None, drop_path: float, output_stride: int) -> Backbone:
    model = get_encoder(name, weights=None)
    model.reset_drop_path(drop_path)
    if weights is not None:
        load_weights(model, weights.path)
    return Backbone(
        model,
        channels=model.out_channels[-4:],
        strides=(4, 8, 16, 32),
        mean=IMAGENET_DEFAULT_MEAN,
        std=IMAGENET_DEFAULT_STD,
        size_multiple=32,
    )


def _timm_backbone(name: str, *, weights: Weights | None, drop_path: float, output_stride: int) -> Backbone:
    model = _create(name, weights=weights, drop_path=drop_path, output_stride=output_stride)
    if weights is not None and not weights.from_timm:
        load_weights(model, weights.path)
    strides, channels = model.feature_info.reduction(), model.feature_info.channels()
    finest = 1 if strides[0] == 1 else 0  # VGG's first map is as fine as the image; no head wants it
    if tuple(strides[finest:]) not in PYRAMIDS:
        raise UserError(
            f"backbone {name!r} makes feature maps at strides {', '.join(map(str, strides))}, but heads need "
            "4, 8, 16, 32: choose a hierarchical one (swin, convnext, resnet, efficientnet, mobilenet, mit)"
        )
    config = timm.models.get_pretrained_cfg(name)
    return Backbone(
        model,
        channels=channels[finest:],
        strides=strides[finest:],
        mean=config.mean if config else IMAGENET_DEFAULT_MEAN,
        std=config.std if config else IMAGENET_DEFAULT_STD,
        size_multiple=1 if name.startswith(ROUNDING_UP) else strides[-1],
        channels_last=getattr(model, "output_fmt", None) == "NHWC",
    )


def _create(name: str, *, weights: Weights | None, drop_path: float, output_stride: int) -> nn.Module:
    """Return timm's feature extractor, with as many of the two optional arguments as its factory takes.

    timm has no table of what a factory takes: it refuses by TypeError, AssertionError or NotImplementedError.
    """
    arguments: dict[str, Any] = {"features_only": True, "pretrained": False, **_family_options(name)}
    if weights is not None and weights.from_timm:
        arguments |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights.path)}}
    rates = [{"drop_path_rate": drop_path}] + ([{}] if drop_path == 0 else [])
    dilations = ([{"output_stride": output_stride}] if output_stride != 32 else []) + [{}]
    refusal: Exception | None = None
    for rate, dilation in itertools.product(rates, dilations):
        try:
            return timm.create_model(name, **arguments, **rate, **dilation)
        except (TypeError, AssertionError, NotImplementedError, RuntimeError) as error:
            refusal = error
    remedy = f"drop_path is {drop_path}, which not every family takes: set it to 0" if drop_path else "choose another"
    raise UserError(f"backbone {name!r} cannot be built as a feature pyramid ({refusal}): {remedy}") from refusal


def _family_options(name: str) -> dict[str, Any]:
    prefixes = [prefix for prefix in FAMILY_OPTIONS if name.startswith(prefix)]
    return FAMILY_OPTIONS[max(prefixes, key=len)] if prefixes else {}
