"""Models: any head on any backbone, on images of any size."""

import pytest
import timm
import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel

from tests.trainables.models.matrix import narrow_heads
from tests.trainables.models.micro import FAMILIES
from trainables.errors import UserError
from trainables.models import HEADS, build_model

torch.set_num_threads(1)


def build(head="unet", backbone="mobilenetv3_small_050", num_classes=3, **options):
    torch.manual_seed(0)
    with narrow_heads():
        return build_model(head=head, backbone=backbone, num_classes=num_classes, pretrained=False, **options)


@pytest.mark.parametrize("head", HEADS)
def test_bfloat16_trains(head):
    model = build(head).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model.training_logits(torch.randn(2, 3, 65, 64).to(memory_format=torch.channels_last))
    sum(weight * logits.float().square().mean() for weight, logits in outputs).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_logits_are_resized_in_float32_under_bfloat16():
    """Classes whose logits differ by less than bfloat16 tells apart would tie, and the first one would win."""
    model = build("segformer").eval()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        logits = model(torch.randn(1, 3, 64, 64))
        (_, trained), *_ = model.training_logits(torch.randn(1, 3, 64, 64))
    assert logits.dtype == trained.dtype == torch.float32
    assert not torch.equal(logits, logits.bfloat16().float())


@pytest.mark.parametrize("head", HEADS)
def test_odd_sizes_are_padded_on_the_right_and_below_and_cut(head):
    model = build(head, "convnext_micro").eval()
    images = torch.randn(1, 3, 50, 89)
    with torch.no_grad():
        padded = model(F.pad(images, (0, -89 % model.size_multiple, 0, -50 % model.size_multiple)))
        assert torch.allclose(model(images), padded[..., :50, :89], atol=1e-5)


def test_the_updates_of_knet_begin_with_the_published_weights():
    """Glorot's limit of a matrix n x n, for convolutions too: He's would make the masks of each update larger."""
    updates = build("knet_fcn").head.updates
    for name, parameter in updates.named_parameters():
        if parameter.ndim > 1:
            limit = (6 / sum(parameter.shape[:2])) ** 0.5
            assert 0.9 * limit < parameter.abs().max() <= limit, name


def test_unet_needs_no_padding_on_backbones_that_round_up():
    seen = []
    model = build("unet", "resnet18")
    model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[-2:]))
    model(torch.randn(1, 3, 60, 90))
    assert seen == [(60, 90)]


@pytest.mark.parametrize("head", HEADS)
def test_logits_lie_where_the_pixels_are(head):
    """A changed patch changes the logits over it the most: nothing is flipped, shifted or transposed."""
    model = build(head, "resnet18").eval()
    images = torch.randn(1, 3, 160, 224)
    changed = images.clone()
    changed[..., 32:64, 160:192] += 5
    with torch.no_grad():
        change = (model(changed) - model(images)).abs().sum((0, 1))
    inside = change[32:64, 160:192].mean()
    for rows, columns in (
        (slice(96, 128), slice(160, 192)),
        (slice(32, 64), slice(32, 64)),
        (slice(96, 160), slice(0, 64)),
    ):
        assert inside > 1.5 * change[rows, columns].mean()


@pytest.mark.parametrize("head", HEADS)
def test_heads_that_classify_on_the_deepest_map_see_a_padded_image(head):
    assert HEADS[head].taps != (-2, -1) or HEADS[head].pads_input


@pytest.mark.parametrize("backbone", FAMILIES.values())
def test_logits_of_the_deepest_map_are_not_stretched(backbone):
    """Where the map holds the coordinates that its cells have in the padded image, so do the pixels."""
    for size in ((97, 131), (180, 240)):
        with torch.device("meta"), torch.no_grad():
            model = build("fcn", backbone, image_size=size)
            padded = [-(-length // model.size_multiple) * model.size_multiple for length in size]
            cells = model.backbone(torch.zeros(1, 3, *padded))[-1].shape[-2:]
        stride = 28 if "dinov2" in backbone else model.backbone.strides[-1]
        assert tuple(cells) == tuple(-(-length // stride) for length in padded)
        down, right = ((torch.arange(count) + 0.5) * length / count for count, length in zip(cells, padded))
        coordinates = torch.stack(torch.meshgrid(down, right, indexing="ij"))[None]
        seen = model._to_image(coordinates, torch.zeros(1, 3, *size))[0]
        height, width = (torch.arange(stride // 2, length - stride // 2) for length in size)
        torch.testing.assert_close(seen[0, height, 0], height + 0.5)
        torch.testing.assert_close(seen[1, 0, width], width + 0.5)


@pytest.mark.parametrize("stride", [4, 16])
def test_each_output_is_resized_from_its_own_stride(stride):
    """An auxiliary head's map, at stride 16, may cover more of what Swin pads by itself than the finest does."""
    model = build("upernet", "swin_micro")
    columns = -(-100 // stride)
    ramp = ((torch.arange(columns) + 0.5) * stride).expand(1, 1, columns, columns)
    seen = model._to_image(ramp, torch.zeros(1, 3, 97, 97))[0, 0, 50]
    inside = torch.arange(stride // 2, 97 - stride // 2)
    torch.testing.assert_close(seen[inside], inside + 0.5)


WEIGHTS = {  # of the outputs that the loss is summed over, where there are more than the main one
    **dict.fromkeys(("fcn", "pspnet", "deeplabv3", "deeplabv3plus", "upernet", "ocr", "semask_fpn"), (1.0, 0.4)),
    **dict.fromkeys(("fcn_torchvision", "deeplabv3_torchvision", "unet_s5_d16"), (1.0, 0.4)),
    "unetplusplus_original": (1.0, 1.0, 1.0),  # of three columns, over the four maps of Swin
    **dict.fromkeys(("knet_fcn", "knet_pspnet", "knet_deeplabv3", "knet_upernet"), (1.0, 1.0, 1.0, 1.0, 0.4)),
}


@pytest.mark.parametrize("head", HEADS)
def test_every_output_is_supervised_with_its_published_weight(head):
    with torch.device("meta"):
        outputs = build(head, "swin_micro").training_logits(torch.zeros(1, 3, 64, 64))
    assert tuple(weight for weight, _ in outputs) == WEIGHTS.get(head, (1.0,))


@pytest.mark.parametrize("backbone", ["beit_base_patch16_224", "tiny_vit_5m_224", "vit_tiny_patch16_224"])
def test_semask_has_windows_of_its_own_where_the_backbone_has_none_like_swins(backbone):
    with torch.device("meta"):
        model = build_model(head="semask_fpn", backbone=backbone, num_classes=5, pretrained=False)
    assert {layer.window for layer in model.backbone.semantic_layers} == {7}


@pytest.mark.parametrize("head", HEADS)
def test_every_head_as_wide_as_it_is_trains_on_a_narrow_transformer(head):
    with torch.device("meta"):
        how = {"num_classes": 5, "pretrained": False, "image_size": (56, 112)}
        model = build_model(head=head, backbone="vit_small_patch14_dinov2", **how)
        outputs = model.training_logits(torch.zeros(2, 3, 56, 112))
    assert {tuple(logits.shape) for _, logits in outputs} == {(2, 5, 56, 112)}


@pytest.mark.parametrize("head", ["unet_s5_d16", "unet_original", "unetplusplus_original"])
@pytest.mark.parametrize("encoder", ["unet_encoder_64", "unet_encoder_32"])
def test_unets_own_encoders_are_decoded_from_full_resolution(head, encoder):
    model = build(head, encoder, num_classes=5)
    assert model.backbone.strides == (1, 2, 4, 8, 16)
    with torch.no_grad():
        images = torch.randn(2, 3, 37, 50)
        assert all(logits.shape == (2, 5, 37, 50) for _, logits in model.training_logits(images))
        logits = model.eval()(images)
        assert logits.shape == (2, 5, 37, 50)
        assert torch.allclose(logits[1:], model(images[1:]), atol=1e-4)


@pytest.mark.parametrize("head", [head for head in HEADS if not HEADS[head].full_resolution])
def test_other_heads_refuse_unets_own_encoders(head):
    with pytest.raises(UserError, match="'unet_encoder_32' makes feature maps at strides 1, 2, 4, 8, 16, but"):
        build(head, "unet_encoder_32")


def test_vggs_map_at_stride_1_is_for_unets_own_decoders():
    with torch.device("meta"):
        assert build("unet_original", "vgg11").backbone.strides == (1, 2, 4, 8, 16, 32)
        assert build("unet", "vgg11").backbone.strides == (2, 4, 8, 16, 32)


@pytest.mark.parametrize("head", HEADS)
def test_deepest_map_acts_where_it_lies(head):
    torch.manual_seed(0)
    model = build(head, "resnet_micro").eval()
    with torch.no_grad():
        features = model.backbone(torch.randn(1, 3, 320, 448))
        changed = [feature.clone() for feature in features]
        deepest = changed[3 if head == "semask_fpn" else -1]  # its priors follow after its maps
        height, width = deepest.shape[-2:]
        deepest[..., : height // 5, -(width // 7) :] += 5 * torch.randn(deepest.shape[1], 1, 1)
        change = (model.head(changed) - model.head(features)).abs().sum((0, 1))
    height, width = change.shape
    inside = change[: height // 5, -(width // 7) :].mean()
    assert inside > 1.5 * change[-(height // 5) :, -(width // 7) :].mean()
    assert inside > 1.5 * change[: height // 5, : width // 7].mean()


@pytest.mark.parametrize("size", [(32, 64), (224, 224), (97, 131)])
def test_swin_takes_any_size(size):
    model = build("fpn", "swin_tiny_patch4_window7_224").eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("head", HEADS)
def test_dropout_is_the_heads_and_only_in_train_mode(head):
    images = torch.randn(2, 3, 64, 64)
    model = build(head, dropout=0.5)
    model.backbone.eval()
    for module in model.head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        assert not torch.equal(model(images), model(images))
        model.eval()
        assert torch.equal(model(images), model(images))
    rates = {module.p for module in model.head.modules() if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d)}
    assert rates == {0.5}


@pytest.mark.parametrize("head", HEADS)
def test_learns_to_tell_left_from_right(head):
    model = build(head, num_classes=2, dropout=0.0)
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    images[..., 32:] += 2
    target = torch.zeros(4, 64, 64, dtype=torch.int64)
    target[..., 32:] = 1
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(16):
        loss = sum(weight * F.cross_entropy(logits, target) for weight, logits in model.training_logits(images))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(
    ("backbone", "mean"),
    [("tf_efficientnet_lite0", [0.5] * 3), ("resnet18", [0.485, 0.456, 0.406]), ("mit_b0", [0.485, 0.456, 0.406])],
)
def test_normalize_uses_the_backbones_own_mean(backbone, mean):
    model = build(backbone=backbone)
    assert model.mean.flatten().tolist() == pytest.approx(mean)
    images = torch.randint(256, (2, 3, 8, 9), dtype=torch.uint8)
    expected = (images / 255 - model.mean) / model.std
    assert model.normalize(images).dtype == torch.float32
    assert torch.allclose(model.normalize(images), expected, atol=1e-5)


def test_normalize_keeps_the_memory_format():
    model = build()
    images = torch.zeros(2, 3, 8, 9, dtype=torch.uint8).to(memory_format=torch.channels_last)
    assert model.normalize(images).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("backbone", "mean"), [("vit_tiny_patch16_224", 0.5), ("vit_tiny_patch16_224_in21k", 0.485), ("mit_b0", 0.485)]
)
def test_weights_of_earlier_versions_are_used_with_the_mean_that_they_were_trained_with(backbone, mean):
    model = AveragedModel(build(backbone=backbone))
    statistics = ("module.mean", "module.std")
    model.load_state_dict({key: tensor for key, tensor in model.state_dict().items() if key not in statistics})
    assert model.module.mean.flatten()[0].item() == pytest.approx(mean)


def test_weights_are_used_with_the_mean_that_they_were_trained_with():
    model, other = build(backbone="resnet18"), build(backbone="resnet18")
    model.mean.fill_(0.5)
    other.load_state_dict(model.state_dict())
    assert other.mean.flatten().tolist() == [0.5] * 3


def test_state_dict_restores_the_model():
    model = build("upernet").eval()
    other = build("upernet").eval()
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(model(images), other(images))
        other.load_state_dict(model.state_dict())
        assert torch.equal(model(images), other(images))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"head": "upernett"},
            "unknown head 'upernett': choose one of unet, unetplusplus, fpn, upernet, deeplabv3plus, ",
        ),
        ({"backbone": "resnet19"}, "unknown backbone 'resnet19' .did you mean .*resnet18"),
        ({"backbone": "mit_b6"}, "unknown backbone 'mit_b6' .did you mean mit_b"),
        ({"backbone": "resnet18.nope"}, r"unknown pretrained tag in backbone 'resnet18.nope': .*resnet18\.a1_in1k"),
        ({"backbone": "levit_128s"}, "'levit_128s' makes feature maps at strides 16, 32, 64, but"),
        ({"head": "unet_original", "backbone": "unet_encoder_32", "drop_path": 0.1}, "drop_path is 0.1.*set it to 0"),
        ({"backbone": "densenet121", "drop_path": 0.1}, "'densenet121' cannot be built.*drop_path is 0.1.*set it to 0"),
        ({"drop_path": 1.0}, r"drop_path is 1\.0, but must be at least 0 and below 1"),
        ({"dropout": -0.1}, r"dropout is -0\.1, but must be at least 0 and below 1"),
        ({"num_classes": 1}, "num_classes is 1, but must be at least 2"),
        ({"image_size": (0, 5)}, r"image_size is \(0, 5\)"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        build(**arguments)


def test_build_leaves_timm_models_as_timm_makes_them():
    torch.manual_seed(0)
    expected = timm.create_model("resnet18", features_only=True)
    assert build("fpn", "resnet18").backbone.model.state_dict().keys() == expected.state_dict().keys()
