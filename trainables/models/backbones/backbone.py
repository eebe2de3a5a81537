"""Backbones: any timm model that makes a feature pyramid, and SegFormer's Mix Transformers, behind one interface."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor, nn

from trainables.errors import UserError
from trainables.known_names import MIX_TRANSFORMERS
from trainables.models.backbones import contracting_path  # noqa: F401 (makes its encoders known to timm)
from trainables.models.backbones.beit import take_any_size
from trainables.models.backbones.feature2pyramid import Feature2Pyramid, tapped_blocks
from trainables.models.backbones.necks import JoinBranches, TapNorms
from trainables.models.backbones.swin import pad_before_shift
from trainables.models.pretrained.equivalents import statistics_of
from trainables.models.pretrained.weights import load_weights
from trainables.pretrained_files import Weights

STRIDES = (4, 8, 16, 32)
ALL_TAPS = (-4, -3, -2, -1)
FINEST = ((), (2,))  # some families also have a map at stride 2, which no head needs
PYRAMIDS = [(*finest, 4, 8, *deep) for finest in FINEST for deep in ((16, 32), (16, 16), (8, 8))]
FULL_PYRAMIDS = [(1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32)]  # for heads that take a map at stride 1


@dataclass(frozen=True)
class Family:
    """The properties of the backbones whose names begin with one of `prefixes`.

    `options` are arguments of timm's factory. `tap_norms` is the epsilon of a LayerNorm on each map, which the family's
    authors add for segmentation. Height and width must be multiples of `size_multiple`, by default the deepest stride.
    `parallel` branches are equally deep. `shifts_windows` names Swin's own padding. `fixed_size` backbones have tables
    for one image size.
    """

    prefixes: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    tap_norms: float | None = None
    size_multiple: int | None = None
    parallel: bool = False
    shifts_windows: bool = False
    fixed_size: bool = False


SWIN_OPTIONS = {"strict_img_size": False, "always_partition": True}

FAMILIES = (
    Family(("swin_", "swinv2_"), SWIN_OPTIONS, tap_norms=1e-5, size_multiple=4, shifts_windows=True),
    Family(("swinv2_cr_",), SWIN_OPTIONS),
    Family(("convnext",), tap_norms=1e-6),
    # Strided layers that all round sizes up (97 -> 49 -> 25), so that images need no padding for them.
    Family(("resnet", "resnext", "wide_resnet", "regnet"), size_multiple=1),
    # Those that smooth before a stride round down.
    Family(("resnetaa", "resnet50_clip", "resnet101_clip", "resnet50x", "resnet50_mlp", "mobilenetv4_conv_aa")),
    Family(("efficientnet", "tf_efficientnet", "mobilenet", "tf_mobilenet"), size_multiple=1),
    Family(("hrnet",), {"feature_location": "", "out_indices": (1, 2, 3, 4)}, parallel=True),
    Family(("vit_", "deit", "eva02_"), {"dynamic_img_size": True}),
    Family(("beit",), fixed_size=True),
)


def family_of(name: str) -> Family:
    """Return the family with the longest prefix of `name`, one without anything special where there is none."""
    fitting = [(len(prefix), family) for family in FAMILIES for prefix in family.prefixes if name.startswith(prefix)]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else Family(())


class Backbone(nn.Module):
    """A feature extractor. Map i, finest first, is (N, channels[i], about H / strides[i], about W / strides[i]).

    `model` is timm's, with the pretrained weights, and `maps` are the indices of those of its maps that are used;
    `neck`, from a list of maps to a list of maps, is what segmentation adds and trains from scratch. H and W must be
    multiples of `size_multiple`, and of `pyramid_multiple` if each map is to be exactly half the one before. `mean` and
    `std` are those with which the pretrained weights expect images in 0..1 to be normalised.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        channels: Sequence[int],
        strides: Sequence[int],
        maps: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        size_multiple: int,
        pyramid_multiple: int,
        neck: nn.Module | None = None,
        outputs_nhwc: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.neck = neck or nn.Identity()
        self.channels = tuple(channels)
        self.strides = tuple(strides)
        self.maps = tuple(maps)
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.size_multiple = size_multiple
        self.pyramid_multiple = pyramid_multiple
        self.outputs_nhwc = outputs_nhwc

    def forward(self, images: Tensor) -> list[Tensor]:
        features = list(self.model(images))
        features = [features[index] for index in self.maps]
        if self.outputs_nhwc:
            features = [feature.permute(0, 3, 1, 2) for feature in features]  # NHWC -> NCHW
        return self.neck(features)


def build_backbone(
    name: str,
    *,
    weights: Weights | None = None,
    drop_path: float = 0.0,
    output_stride: int = 32,
    image_size: tuple[int, int] | None = None,
    taps: Sequence[int] | None = None,
    full_resolution: bool = False,
) -> Backbone:
    """Return the backbone `name`.

    Args:
        name: The name of a timm model, or mit_b0 to mit_b5.
        weights: The weights to load; None leaves the backbone as it is initialised.
        drop_path: The stochastic depth rate.
        output_stride: The stride to which the deepest map is dilated, 8 or 16, where the family can be dilated. Others
            keep 32; `strides` of the result says which it is.
        image_size: (height, width) for which a family with tables of one size has them resized.
        taps: The maps to return, counted from the deepest (-1); all by default. Where they are not all and the family's
            branches are parallel, these come as one map, resized to the finest and concatenated.
        full_resolution: Whether all maps include the one at stride 1.

    Raises:
        UserError: `drop_path` is above 0 and the family has no stochastic depth; the maps do not form a pyramid of
            strides 4 to 32 (or 1 to 16, with `full_resolution`); a family that is not in FAMILIES cannot take images of
            that size; or the weights do not fit.
    """
    if name in MIX_TRANSFORMERS:
        return _mix_transformer(name, weights=weights, drop_path=drop_path, taps=taps or ALL_TAPS)
    model = _create(name, weights=weights, drop_path=drop_path, output_stride=output_stride)
    if weights is not None and not weights.from_timm:
        load_weights(model, weights.path)
    statistics = dict(zip(("mean", "std"), statistics_of(model)))
    if len(set(model.feature_info.reduction())) == 1:
        backbone = _plain(name, model, image_size, taps or ALL_TAPS, statistics)
    else:
        backbone = _hierarchical(name, model, taps, full_resolution, statistics)
    if image_size is not None and not family_of(name).prefixes:
        _check_size(name, backbone, image_size)
    return backbone


def _mix_transformer(name: str, *, weights: Weights | None, drop_path: float, taps: Sequence[int]) -> Backbone:
    with torch.device("cpu"):  # both read rates from a tensor, which the meta device does not allow
        model = get_encoder(name, weights=None)
        model.reset_drop_path(drop_path)
    model.to(torch.get_default_device())
    if weights is not None:
        load_weights(model, weights.path)
    return Backbone(
        model,
        channels=[model.out_channels[tap] for tap in taps],
        strides=[STRIDES[tap] for tap in taps],
        maps=taps,
        **dict(zip(("mean", "std"), statistics_of(model))),
        size_multiple=32,
        pyramid_multiple=32,
    )


def _hierarchical(
    name: str, model: nn.Module, taps: Sequence[int] | None, full_resolution: bool, statistics: dict[str, Any]
) -> Backbone:
    family = family_of(name)
    strides, channels = model.feature_info.reduction(), model.feature_info.channels()
    first = 1 if strides[0] == 1 and not full_resolution else 0  # VGG's and U-Net's
    if tuple(strides[first:]) not in (FULL_PYRAMIDS if strides[first] == 1 else PYRAMIDS):
        raise UserError(
            f"backbone {name!r} makes feature maps at strides {', '.join(map(str, strides))}, but heads need "
            "4, 8, 16, 32 (or 1 to 16, in U-Net's own form): choose a hierarchical one (swin, convnext, resnet, "
            "efficientnet, mobilenet, mit) or a plain transformer (vit, beit)"
        )
    every = tuple(range(first - len(strides), 0))
    joins = family.parallel and tuple(taps or every) != every
    maps = every if joins else taps or every
    channels, tapped = [channels[index] for index in maps], [strides[index] for index in maps]
    if family.shifts_windows:
        pad_before_shift(model)
    neck = JoinBranches() if joins else TapNorms(channels, eps=family.tap_norms) if family.tap_norms else None
    return Backbone(
        model,
        channels=[sum(channels)] if joins else channels,
        strides=tapped[:1] if joins else tapped,
        maps=maps,
        size_multiple=family.size_multiple or strides[-1],
        pyramid_multiple=strides[-1],
        neck=neck,
        outputs_nhwc=getattr(model, "output_fmt", None) == "NHWC",
        **statistics,
    )


def _plain(
    name: str,
    model: nn.Module,
    image_size: tuple[int, int] | None,
    taps: Sequence[int],
    statistics: dict[str, Any],
) -> Backbone:
    """Return the backbone of a transformer whose maps all have the stride of its patches.

    The outputs of some of its blocks are made into a pyramid.
    """
    info, patch = model.feature_info, model.feature_info.reduction()[0]
    model.out_indices = tapped_blocks(len(info.info))
    # A multiple of 4 also where patches are 14 wide, so that the map at stride 4 covers the padded image exactly.
    multiple = math.lcm(patch, 4)
    if family_of(name).fixed_size:
        if image_size is not None:
            model.model.set_input_size(img_size=tuple(-(-size // multiple) * multiple for size in image_size))
        take_any_size(model)
    channels = info.channels()[0]
    return Backbone(
        model,
        channels=[channels] * len(taps),
        strides=[STRIDES[tap] for tap in taps],
        maps=taps,
        size_multiple=multiple,
        pyramid_multiple=math.lcm(2 * patch, 4),
        neck=Feature2Pyramid(channels, taps),
        **statistics,
    )


def _check_size(name: str, backbone: Backbone, image_size: tuple[int, int]) -> None:
    """Raise UserError where the backbone cannot take images of `image_size`, (height, width), once they are padded.

    timm's model may have tables or windows for another size, or its maps may not have the sizes that their strides say,
    so that heads could not join them. A pyramid that is made of a plain transformer's blocks is our own, and may have
    patches of 14 pixels that count as 16.
    """
    padded = [-(-size // backbone.size_multiple) * backbone.size_multiple for size in image_size]
    try:
        with torch.no_grad():
            features = backbone.eval()(torch.zeros(1, 3, *padded))
        made_by_timm = [] if isinstance(backbone.neck, Feature2Pyramid) else features
        for stride, feature in zip(backbone.strides, made_by_timm):
            expected = tuple(-(-size // stride) for size in padded)
            if tuple(feature.shape[-2:]) != expected:
                raise ValueError(f"its map at stride {stride} is {tuple(feature.shape[-2:])}, not {expected}")
    except (AssertionError, RuntimeError, ValueError) as error:
        height, width = image_size
        raise UserError(
            f"backbone {name!r} cannot take images of {width}x{height} ({str(error) or 'a check in its code fails'}): "
            "choose another backbone, or the size that it is made for"
        ) from error
    backbone.train()


def _create(name: str, *, weights: Weights | None, drop_path: float, output_stride: int) -> nn.Module:
    """Return timm's feature extractor, with as many of the two optional arguments as its factory takes.

    timm has no table of what a factory takes: it refuses by TypeError, AssertionError or NotImplementedError.
    """
    arguments: dict[str, Any] = {"features_only": True, "pretrained": False, **family_of(name).options}
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
