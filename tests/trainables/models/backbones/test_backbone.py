"""Backbones: the maps of each family, their strides, and the sizes of image that they take."""

import pytest
import torch

from trainables.errors import UserError
from trainables.known_names import check_backbone
from trainables.models.backbones.backbone import build_backbone

torch.set_num_threads(1)

PYRAMIDS = [
    ("resnet18", (2, 4, 8, 16, 32), (64, 64, 128, 256, 512)),
    ("vgg11", (2, 4, 8, 16, 32), (128, 256, 512, 512, 512)),
    ("tf_efficientnet_lite0", (2, 4, 8, 16, 32), (16, 24, 40, 112, 320)),
    ("convnext_atto", (4, 8, 16, 32), (40, 80, 160, 320)),
    ("swin_tiny_patch4_window7_224", (4, 8, 16, 32), (96, 192, 384, 768)),
    ("mit_b0", (4, 8, 16, 32), (32, 64, 160, 256)),
]


@pytest.mark.parametrize(("name", "strides", "channels"), PYRAMIDS)
def test_features_have_the_stated_channels_and_strides(name, strides, channels):
    backbone = build_backbone(name).eval()
    assert (backbone.strides, backbone.channels) == (strides, channels)
    with torch.no_grad():
        features = backbone(torch.randn(2, 3, 64, 96))
    assert [tuple(feature.shape) for feature in features] == [
        (2, channel, 64 // stride, 96 // stride) for channel, stride in zip(channels, strides)
    ]


@pytest.mark.parametrize(
    ("name", "deepest"),
    [
        ("resnet18", 16),
        ("convnext_atto", 16),
        ("mobilenetv3_small_050", 16),
        ("swin_tiny_patch4_window7_224", 32),
        ("mit_b0", 32),
    ],
)
def test_families_that_can_are_dilated(name, deepest):
    backbone = build_backbone(name, output_stride=16).eval()
    assert backbone.strides[-1] == deepest
    with torch.no_grad():
        assert backbone(torch.randn(1, 3, 64, 64))[-1].shape[-2:] == (64 // deepest, 64 // deepest)


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "mobilenetv2_050", "mobilenetv3_small_050"])
@pytest.mark.parametrize("size", [(97, 131), (60, 90)])
def test_families_without_padding_round_every_size_up(name, size):
    backbone = build_backbone(name).eval()
    assert backbone.size_multiple == 1
    with torch.no_grad():
        shapes = [tuple(feature.shape[-2:]) for feature in backbone(torch.randn(1, 3, *size))]
    assert shapes == [tuple(-(-length // stride) for length in size) for stride in backbone.strides]


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("mit_b0", (0.485, 0.456, 0.406)),
        ("vit_tiny_patch16_224", (0.5, 0.5, 0.5)),
        ("vit_tiny_patch16_224_in21k", (0.5, 0.5, 0.5)),  # an old name, which timm still builds but does not list
    ],
)
def test_photos_are_normalised_as_the_pretrained_weights_expect_them(name, mean):
    assert build_backbone(name).mean == mean


def drop_rates(backbone):
    """Stochastic depth rates of the blocks, in order; each family has its own class for it."""
    return [module.drop_prob for module in backbone.modules() if type(module).__name__ == "DropPath"]


@pytest.mark.parametrize(
    "name",
    [
        "swin_tiny_patch4_window7_224",
        "convnext_atto",
        "resnet18",
        "tf_efficientnet_lite0",
        "mobilenetv3_small_050",
        "mit_b0",
    ],
)
def test_drop_path_grows_to_its_rate_and_is_off_by_default(name):
    rates = drop_rates(build_backbone(name, drop_path=0.3))
    assert rates == sorted(rates)
    assert 0.2 < rates[-1] <= 0.3 + 1e-6
    assert not any(drop_rates(build_backbone(name)))


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UserError, match=r"unknown backbone 'swin_tiny_patch4_window7_256' \(did you mean .*swin_tiny"):
        check_backbone("swin_tiny_patch4_window7_256")
    with pytest.raises(UserError, match=r"unknown backbone '@': swin_tiny_patch4_window7_224, convnext_tiny"):
        check_backbone("@")
    check_backbone("resnet18.a1_in1k")
    check_backbone("mit_b5")


@pytest.mark.parametrize("name", ["maxvit_tiny_tf_224", "hiera_tiny_224", "coat_tiny"])
def test_backbones_made_for_one_size_are_refused_at_another(name):
    with pytest.raises(UserError, match=f"'{name}' cannot take images of 131x97 .*: choose another"):
        build_backbone(name, image_size=(97, 131))


def test_a_check_without_a_message_is_told_as_one():
    with pytest.raises(UserError, match=r"'halonet26t' cannot take images of 224x160 \(a check in its code fails\): "):
        build_backbone("halonet26t", image_size=(160, 224))


def test_maps_of_other_sizes_than_their_strides_say_are_refused():
    with pytest.raises(
        UserError, match=r"cannot take images of 131x97 \(its map at stride 32 is \(4, 6\), not \(4, 5\)\)"
    ):
        build_backbone("mobilevitv2_050", image_size=(97, 131))


@pytest.mark.parametrize("name", ["resnetaa50d", "resnet50_mlp", "mobilenetv4_conv_aa_medium", "swinv2_cr_tiny_224"])
def test_images_of_any_size(name):
    backbone = build_backbone(name, image_size=(97, 131)).eval()
    padded = [-(-size // backbone.size_multiple) * backbone.size_multiple for size in (97, 131)]
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, *padded))
    for stride, feature in zip(backbone.strides, features, strict=True):
        assert tuple(feature.shape[-2:]) == tuple(-(-size // stride) for size in padded)


def test_patches_of_14_count_as_16_in_families_that_are_not_known():
    with torch.device("meta"):
        assert build_backbone("eva_giant_patch14_224", image_size=(224, 224)).strides == (4, 8, 16, 32)


def test_a_backbone_made_for_one_size_is_taken_at_that_size():
    assert build_backbone("coat_tiny", image_size=(224, 224)).training
