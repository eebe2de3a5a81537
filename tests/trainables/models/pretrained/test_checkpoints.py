"""--init-from: foreign names, sizes and wrappers give the very features that timm's own state dict gives."""

import os

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from tests.trainables.models import foreign
from trainables.errors import UserError
from trainables.models import build_model
from trainables.models.backbones.backbone import build_backbone
from trainables.models.pretrained.checkpoints import load_checkpoint, read_checkpoint
from trainables.models.pretrained.dialects.base import IMAGENET
from trainables.models.pretrained.equivalents import statistics_of
from trainables.models.pretrained.positions import resize_geometrically

torch.set_num_threads(1)

SWIN = {"embed_dim": 24, "depths": (1, 1, 2, 1), "num_heads": (1, 2, 2, 2)}
CONVNEXT = {"depths": (1, 1, 2, 1), "dims": (16, 32, 48, 64)}
VIT = {"depth": 2, "embed_dim": 48, "num_heads": 3}
FAMILIES = {
    "swin": ("swin_tiny_patch4_window7_224", SWIN),
    "convnext": ("convnext_tiny", CONVNEXT),
    "convnextv2": ("convnextv2_tiny", CONVNEXT),
    "beit": ("beit_base_patch16_224", VIT | {"use_abs_pos_emb": False}),
    "vit": ("vit_base_patch16_224", VIT),
    "vit_dinov2": ("vit_giant_patch14_reg4_dinov2", VIT | {"img_size": 224}),
    "vit_dinov2_giant": ("vit_giant_patch14_dinov2", VIT | {"img_size": 224}),
    "resnet": ("resnet18", {}),
    "resnet_v1c": ("resnet50c", {"layers": (1, 1, 1, 1)}),
}


def normalized(photo, mean, std):
    return (photo - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def drawn(model):
    """The model with random weights and statistics everywhere, so that no two tensors are alike."""
    generator = torch.Generator().manual_seed(3)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(0.5 + 0.05 * torch.randn(tensor.shape, generator=generator))
    return model.eval()


def given_and_empty(family, **options):
    """A full timm model with random weights, and a feature extractor of the same kind with others."""
    name, small = FAMILIES[family]
    given = drawn(timm.create_model(name, **small, **options))
    indices = (0, 1) if "vit" in family or family == "beit" else (0, 1, 2, 3)
    empty = timm.create_model(name, features_only=True, out_indices=indices, **small, **options)
    return given, empty.eval()


@torch.no_grad()
def assert_same_features(given, loaded, size=224):
    images = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    features = loaded(images)
    expected = given.forward_intermediates(images, indices=list(range(len(features))), intermediates_only=True)
    for mine, theirs in zip(features, expected, strict=True):
        mine = mine.permute(0, 3, 1, 2) if loaded.output_fmt == "NHWC" else mine
        assert torch.equal(mine, theirs)


STYLES = [
    ("swin", foreign.swin_authors, "Swin's authors'"),
    ("swin", foreign.mmseg_swin, "mmsegmentation's Swin"),
    ("swin", foreign.torchvision_swin, "torchvision's Swin"),
    ("swin", foreign.distributed, "timm's"),
    ("convnext", foreign.torchvision_convnext, "torchvision's ConvNeXt"),
    ("convnext", foreign.convnext_authors, "ConvNeXt's authors' or mmsegmentation's"),
    ("convnext", foreign.mmseg_convnext, "ConvNeXt's authors' or mmsegmentation's"),
    ("convnextv2", foreign.convnext_authors, "ConvNeXt's authors' or mmsegmentation's"),
    ("beit", lambda state: {"module": state}, "timm's"),
    ("beit", foreign.mmseg_beit, "mmsegmentation's ViT or BEiT"),
    ("vit", foreign.mmseg_vit, "mmsegmentation's ViT or BEiT"),
    ("vit_dinov2", foreign.dinov2_authors, "DINOv2's authors', with registers"),
    ("vit_dinov2_giant", foreign.gated, "DINOv2's authors', of the giant"),
    ("resnet", dict, "timm's"),
    ("resnet_v1c", foreign.mmseg_resnet_v1c, "mmsegmentation's ResNet V1c"),
]


@pytest.mark.parametrize(
    ("family", "style", "dialect"), STYLES, ids=[f"{family}-{style.__name__}" for family, style, _ in STYLES]
)
def test_foreign_names_give_the_same_features(tmp_path, family, style, dialect):
    given, empty = given_and_empty(family)
    torch.save(style(dict(given.state_dict())), tmp_path / "given.pth")
    report = load_checkpoint(empty, tmp_path / "given.pth")
    assert (report.dialect, report.share, report.left_over, report.resized) == (dialect, 1.0, (), ())
    assert_same_features(given, empty)


def test_mix_transformer_of_mmsegmentation(tmp_path):
    given, empty = drawn(build_backbone("mit_b0")), build_backbone("mit_b0").eval()
    torch.save(foreign.mmseg_mit(given.model.state_dict()), tmp_path / "mit.pth")
    report = load_checkpoint(empty, tmp_path / "mit.pth")
    assert (report.dialect, report.share) == ("mmsegmentation's Mix Transformer", 1.0)
    with torch.no_grad():
        images = torch.randn(1, 3, 64, 64)
        assert all(map(torch.equal, empty(images), given(images)))


@pytest.mark.parametrize(
    ("theirs", "timms"),
    [
        (torchvision.models.resnet18, "resnet18"),
        (torchvision.models.convnext_tiny, "convnext_tiny"),
        (torchvision.models.swin_t, "swin_tiny_patch4_window7_224"),
        (torchvision.models.swin_v2_t, "swinv2_tiny_window8_256"),
        (torchvision.models.vit_b_16, "vit_base_patch16_224"),
    ],
)
def test_torchvisions_own_models(tmp_path, theirs, timms):
    """Their code, not only their names: the same logits, save for the order of additions."""
    given, mine = theirs(weights=None).eval(), timm.create_model(timms).eval()
    with torch.no_grad():
        for parameter in given.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        torch.save(given.state_dict(), tmp_path / "theirs.pth")
        report = load_checkpoint(mine, tmp_path / "theirs.pth", allow_partial=True)
        size = int(timms[-3:]) if timms[-3:].isdecimal() else 224
        photo = torch.rand(1, 3, size, size)
        mine.reset_classifier(0)
        heads = {"resnet18": "fc", "convnext_tiny": "classifier", "vit_base_patch16_224": "heads"}
        head = heads.get(timms, "head")
        setattr(given, head, nn.Flatten(1) if "conv" not in timms else given.classifier[:2])
        images = [normalized(photo, *statistics) for statistics in (statistics_of(mine), IMAGENET)]
        assert torch.allclose(mine(images[0]), given(images[1]), rtol=1e-4, atol=1e-4)
    assert report.share > 0.95
    assert {name.split(".")[0] for name in report.left_over} <= {"fc", "head"}


@pytest.mark.parametrize(
    ("theirs", "timms", "dialect"),
    [
        ("efficientnet_b0", "efficientnet_b0", "torchvision's EfficientNet or MobileNet"),
        ("efficientnet_b5", "efficientnet_b5", "torchvision's EfficientNet or MobileNet"),
        ("efficientnet_v2_s", "tf_efficientnetv2_s", "torchvision's EfficientNet or MobileNet"),
        ("efficientnet_v2_s", "efficientnetv2_s", "torchvision's EfficientNet or MobileNet"),
        ("mobilenet_v2", "mobilenetv2_100", "torchvision's EfficientNet or MobileNet"),
        ("mobilenet_v3_large", "tf_mobilenetv3_large_100", "torchvision's EfficientNet or MobileNet"),
        ("mobilenet_v3_large", "mobilenetv3_large_100", "torchvision's EfficientNet or MobileNet"),
        ("mobilenet_v3_small", "tf_mobilenetv3_small_100", "torchvision's EfficientNet or MobileNet"),
        ("mobilenet_v3_small", "mobilenetv3_small_100", "torchvision's EfficientNet or MobileNet"),
        ("regnet_x_400mf", "regnetx_004_tv", "torchvision's RegNet"),
        ("regnet_y_400mf", "regnety_004", "torchvision's RegNet"),
    ],
)
@torch.no_grad()
def test_torchvisions_small_models_make_the_same_maps(tmp_path, theirs, timms, dialect):
    """Their code, too. At 65 pixels sizes stay odd, so that TensorFlow's padding is symmetric as torchvision's is."""
    given = getattr(torchvision.models, theirs)(weights=None).double().eval()
    mine = timm.create_model(timms, features_only=True).double().eval()
    for tensor in given.state_dict().values():
        if tensor.dim() == 1:  # norms' weights, biases and statistics, no two alike
            tensor.add_(0.05 * torch.randn_like(tensor)).abs_()
    for name, variance in given.state_dict().items():
        if name.endswith("running_var"):
            variance[::8] *= 0.02  # channels that hardly vary, whose scale depends on the norm's eps
    torch.save(given.state_dict(), tmp_path / "theirs.pth")
    report = load_checkpoint(mine, tmp_path / "theirs.pth")
    assert (report.dialect, report.share, report.left_over, report.resized) == (dialect, 1.0, (), ())
    made: list[torch.Tensor] = []
    for module in given.modules():
        module.register_forward_hook(lambda module, given, made_now: made.append(made_now))
    images = torch.randn(1, 3, 65, 65, dtype=torch.float64)
    given(images)
    for feature in mine(images):
        same = [map for map in made if map.shape == feature.shape]
        assert min((map - feature).abs().max() / map.abs().max() for map in same) < 1e-6


@pytest.mark.parametrize(
    ("theirs", "ours", "tokens"),
    [
        ({}, {"no_embed_class": True}, 0),  # a class token's position into a table without
        ({"no_embed_class": True}, {}, 1),
        ({}, {"reg_tokens": 4}, 5),
        ({"reg_tokens": 4}, {}, 1),
    ],
)
def test_positions_of_patches_are_kept_whatever_tokens_come_before_them(tmp_path, theirs, ours, tokens):
    given, _ = given_and_empty("vit", **theirs)
    _, empty = given_and_empty("vit", **ours)
    torch.save(given.state_dict(), tmp_path / "vit.pth")
    load_checkpoint(empty, tmp_path / "vit.pth")
    loaded, their = empty.state_dict()["model.pos_embed"], given.pos_embed
    assert loaded.shape[1] == 196 + tokens
    assert torch.equal(loaded[:, tokens:], their[:, -196:])


def test_a_table_of_positions_that_is_no_square_is_left_out(tmp_path):
    given, _ = given_and_empty("vit", img_size=(96, 160))
    _, empty = given_and_empty("vit")
    torch.save(given.state_dict(), tmp_path / "vit.pth")
    assert any("pos_embed" in key for key in load_checkpoint(empty, tmp_path / "vit.pth").left_over)


def test_patch_merging_of_mmsegmentation_is_an_unfolding(tmp_path):
    """Its arithmetic, written here as it is there, on the renamed weights."""
    given, _ = given_and_empty("swin")
    state = foreign.mmseg_swin(dict(given.state_dict()))["state_dict"]
    features = torch.randn(2, 6, 8, 24)
    unfold = nn.Unfold(kernel_size=2, stride=2)(features.permute(0, 3, 1, 2)).transpose(1, 2)
    norm, reduction = (state[f"backbone.stages.0.downsample.{name}.weight"] for name in ("norm", "reduction"))
    bias = state["backbone.stages.0.downsample.norm.bias"]
    theirs = nn.functional.layer_norm(unfold, (96,), norm, bias) @ reduction.T
    with torch.no_grad():
        assert torch.allclose(given.layers[1].downsample(features).flatten(1, 2), theirs, atol=1e-5)


def test_one_bias_table_for_all_blocks_goes_to_each(tmp_path):
    given, empty = given_and_empty("beit")
    state = dict(given.state_dict())
    table = torch.randn(27 * 27 + 3, 3)
    state = {key: tensor for key, tensor in state.items() if "bias_table" not in key}
    torch.save({"model": {**state, "rel_pos_bias.relative_position_bias_table": table}}, tmp_path / "beit.pth")
    load_checkpoint(empty, tmp_path / "beit.pth")
    tables = [tensor for key, tensor in empty.state_dict().items() if key.endswith("bias_table")]
    assert len(tables) == 2
    assert all(torch.equal(tensor, table) for tensor in tables)


def test_swins_bias_tables_are_resized_to_another_window(tmp_path):
    """What is constant in space stays so, and bicubic interpolation keeps the centre of an odd table."""
    given, _ = given_and_empty("swin", window_size=7)
    state = dict(given.state_dict())
    key = "layers.0.blocks.0.attn.relative_position_bias_table"
    state[key] = torch.full((169, 1), 2.0)
    ramp = torch.arange(13.0)[:, None].expand(13, 13).reshape(169, 1)
    other = "layers.2.blocks.0.attn.relative_position_bias_table"
    state[other] = ramp.repeat(1, 2)
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, tmp_path / "window7.safetensors")
    _, empty = given_and_empty("swin", window_size=12, img_size=384)
    report = load_checkpoint(empty, tmp_path / "window7.safetensors")
    own = empty.state_dict()
    assert report.resized == tuple(key for key in own if key.endswith("bias_table"))
    assert torch.allclose(own[key.replace("layers.0", "layers_0")], torch.full((529, 1), 2.0), atol=1e-6)
    resized = own[other.replace("layers.2", "layers_2")].view(23, 23, 2)
    assert torch.allclose(resized[11], torch.tensor(6.0), atol=1e-5)
    assert (resized.diff(dim=0) > 0).all()


def geometric_offsets(edge, count):
    """By bisection of the sum of the series, which must end at the edge."""
    low, high = 1.01, 1.5
    for _ in range(60):
        ratio = (low + high) / 2
        low, high = (low, ratio) if sum(ratio**k for k in range(count)) > edge else (ratio, high)
    offsets = [sum(ratio**k for k in range(n)) for n in range(1, count + 1)]
    return torch.tensor([-offset for offset in reversed(offsets)] + [0.0, *offsets])


def test_beits_bias_tables_are_resized_on_a_geometric_grid(tmp_path):
    """A cubic spline through samples of a cubic polynomial is that polynomial: known between the samples too."""
    given, _ = given_and_empty("beit")
    known = geometric_offsets(39, 13)
    curve = lambda y, x: 1e-4 * y**3 - 0.01 * y * x + 0.002 * x**2 + 0.5  # noqa: E731
    table = curve(known[:, None], known[None]).reshape(729, 1).repeat(1, 3)
    tokens = torch.randn(3, 3)
    state = dict(given.state_dict())
    key = "blocks.1.attn.relative_position_bias_table"
    state[key] = torch.cat([table, tokens])
    torch.save(state, tmp_path / "beit224.pth")
    _, empty = given_and_empty("beit", img_size=640)
    report = load_checkpoint(empty, tmp_path / "beit224.pth")
    assert len(report.resized) == 2
    resized = empty.state_dict()["model." + key]
    offsets = torch.arange(-39.0, 40.0)
    expected = curve(offsets[:, None], offsets[None]).reshape(79 * 79, 1).expand(-1, 3)
    assert torch.allclose(resized[:-3], expected, atol=1e-3)
    assert torch.equal(resized[-3:], tokens)


def test_a_geometric_grid_may_differ_by_side():
    table = geometric_offsets(19, 13)[:, None].expand(27, 27).reshape(729, 1).float()
    resized = resize_geometrically(table, (20, 30)).view(39, 59)
    assert torch.allclose(resized, torch.arange(-19.0, 20.0)[:, None].expand(39, 59), atol=1e-3)


def test_position_embeddings_are_resized_around_the_class_token(tmp_path):
    given, _ = given_and_empty("vit")
    state = dict(given.state_dict())
    state["pos_embed"] = torch.cat([torch.full((1, 1, 48), 7.0), torch.full((1, 196, 48), 3.0)], dim=1)
    torch.save(state, tmp_path / "vit.pth")
    _, empty = given_and_empty("vit", img_size=(96, 128))
    assert load_checkpoint(empty, tmp_path / "vit.pth").resized == ("model.pos_embed",)
    resized = empty.state_dict()["model.pos_embed"]
    assert resized.shape == (1, 1 + 6 * 8, 48)
    assert (resized[:, 0] == 7).all()
    assert torch.allclose(resized[:, 1:], torch.tensor(3.0), atol=1e-5)


def test_the_report_names_what_was_left_out_and_over(tmp_path):
    given, empty = given_and_empty("convnext")
    state = {key: tensor for key, tensor in given.state_dict().items() if key != "stages.1.downsample.1.weight"}
    state |= {"decode_head.conv_seg.weight": torch.zeros(1), "stages.0.blocks.0.gamma": torch.zeros(5)}
    torch.save(state, tmp_path / "given.pth")
    report = load_checkpoint(empty, tmp_path / "given.pth")
    assert {"decode_head.conv_seg.weight", "stages.0.blocks.0.gamma", "head.fc.weight"} <= set(report.left_out)
    assert set(report.left_over) == {"stages_1.downsample.1.weight", "stages_0.blocks.0.gamma"}
    missing, total = 2 * 2 * 16 * 32 + 16, sum(parameter.numel() for parameter in empty.parameters())
    assert report.share == pytest.approx(1 - missing / total)
    summary = report.summary().splitlines()
    assert summary[0].startswith("given.pth, in timm's names: ")
    assert summary[0].endswith(f"{report.share:.1%} of the backbone's parameters")
    assert summary[3] == (
        "  left over (in the backbone, not in the file): stages_0.blocks.0.gamma, stages_1.downsample.1.weight"
    )


def test_the_log_names_every_tensor_that_did_not_go_in_as_it_was(tmp_path, caplog):
    given, empty = given_and_empty("resnet")
    torch.save({key: tensor for key, tensor in given.state_dict().items() if key != "bn1.bias"}, tmp_path / "a.pth")
    with caplog.at_level("INFO", logger="trainables"):
        load_checkpoint(empty, tmp_path / "a.pth")
    assert "initial weights: left over: bn1.bias" in caplog.text
    assert "initial weights: left out: fc.weight" in caplog.text
    assert "tensors loaded, 100.0% of the backbone's parameters" in caplog.text


def test_less_than_nine_tenths_is_refused_unless_allowed(tmp_path):
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "resnet18.pth")
    empty = timm.create_model("resnet34", features_only=True)
    before = {key: tensor.clone() for key, tensor in empty.state_dict().items()}
    with pytest.raises(UserError, match=r"less than 90% .* in resnet18\.pth, in timm's names.*\n[\s\S]*--init-partial"):
        load_checkpoint(empty, tmp_path / "resnet18.pth")
    assert all(torch.equal(tensor, before[key]) for key, tensor in empty.state_dict().items())
    assert load_checkpoint(empty, tmp_path / "resnet18.pth", allow_partial=True).share < 0.9


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_that_runs_code_is_refused_and_does_not_run_it(tmp_path):
    torch.save({"state_dict": {"conv1.weight": Touch(tmp_path / "ran")}}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match=r"evil\.pth is refused: reading it would run code .*\(posix\.mkdir\)"):
        load_checkpoint(timm.create_model("resnet18", features_only=True), tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.pth", None, r"there is no checkpoint .*absent\.pth: give the path of"),
        ("torn.pth", b"PK\x03\x04 and no more", r"torn\.pth is not a readable PyTorch file"),
        ("torn.safetensors", b"\x09" + bytes(7) + b'{"a": no', r"torn\.safetensors is not a readable safetensors file"),
        (
            "page.pth",
            b"<!DOCTYPE html>",
            r"page\.pth is neither a safetensors file nor one of PyTorch, since it begins",
        ),
        ("page.safetensors", b"<!DOCTYPE html>", r"page\.safetensors is neither a safetensors file nor one of PyTorch"),
        ("pointer.bin", b"version https://git-lfs.github.com", r"pointer\.bin is a pointer of Git LFS .* git lfs pull"),
        ("empty.pth", b"", r"empty\.pth is empty \(0 bytes\); copy or download it again"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_checkpoint(nn.Linear(1, 1), tmp_path / name)


def test_the_content_says_of_what_kind_a_checkpoint_is(tmp_path):
    save_file({"a": torch.ones(3)}, tmp_path / "a.bin")
    torch.save({"a": torch.ones(3)}, tmp_path / "a.safetensors")
    torch.save({"a": torch.ones(3)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    for path in tmp_path.iterdir():
        assert torch.equal(read_checkpoint(path)["a"], torch.ones(3))


def test_a_safetensors_file_that_begins_as_a_pickle_does_is_read(tmp_path):
    for length in range(0, 256, 8):  # one of the lengths of its head makes the first byte 0x80
        save_file({"a": torch.ones(3)}, tmp_path / "a.safetensors", metadata={"note": length * "x"})
        assert torch.equal(read_checkpoint(tmp_path / "a.safetensors")["a"], torch.ones(3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3, 0: torch.zeros(1)}, r"holds no tensors: it must be a state dict, or have one under state_dict"),
        ([torch.zeros(1)], r"holds a list, but must hold a state dict"),
    ],
)
def test_a_file_without_a_state_dict_is_named(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(UserError, match=message):
        load_checkpoint(nn.Linear(1, 1), tmp_path / "a.pt")


def test_build_model_starts_from_the_checkpoint_instead_of_pretrained_weights(tmp_path):
    given = drawn(timm.create_model("resnet18"))
    torch.save(foreign.distributed(given.state_dict()), tmp_path / "mine.pth")
    model = build_model(head="fpn", backbone="resnet18", num_classes=2, init_from=tmp_path / "mine.pth")
    assert torch.equal(model.backbone.model.conv1.weight, given.conv1.weight)
    with pytest.raises(UserError, match="less than 90%"):
        build_model(head="fpn", backbone="resnet34", num_classes=2, init_from=tmp_path / "mine.pth")
    build_model(head="fpn", backbone="resnet34", num_classes=2, init_from=tmp_path / "mine.pth", init_partial=True)


def test_a_models_own_weights_file_can_be_started_from(tmp_path):
    """Heads are left out: they belong to the classes that they were trained for."""
    model = build_model(head="fpn", backbone="resnet18", num_classes=2, pretrained=False)
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, tmp_path / "best.safetensors")
    other = build_model(head="unet", backbone="resnet18", num_classes=5, init_from=tmp_path / "best.safetensors")
    assert torch.equal(other.backbone.model.conv1.weight, model.backbone.model.conv1.weight)
