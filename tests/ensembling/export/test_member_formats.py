"""Members as files that run without this package: equal to the model on images of any number, or it is said why not."""

import warnings

import numpy as np
import pytest
import torch

from ensembling.export import member_formats
from ensembling.export.bundle import write_ensemble
from ensembling.export.member_formats import FORMATS, Deployed, Format, export_members
from ensembling.runs.members import open_ensemble
from tests.ensembling.made_ensemble import make_study
from tests.trainables.models.matrix import build, narrow_heads
from tests.trainables.models.micro import FAMILIES
from trainables.inference.predictor import load_model
from trainables.models import HEADS

pytestmark = pytest.mark.usefixtures("one_thread")
PAIRS = [("segformer", "ConvNeXt"), ("unet", "MobileNet"), ("knet_fcn", "ResNet"), ("fpn", "BEiT")]
ALL = [*((head, "MobileNet") for head in HEADS), *(("segformer", family) for family in FAMILIES)]


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    return open_ensemble(str(make_study(tmp_path_factory.mktemp("runs"), heads=("segformer", "fpn"))), "", None)


@pytest.fixture(autouse=True)
def _few_warnings():
    """PyTorch would rather see TorchScript go; timm's tables are resized with what PyTorch has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def exported(ensemble, directory):
    write_ensemble(ensemble, directory)
    return directory


def test_each_member_is_written_and_compared(ensemble, tmp_path):
    directory = exported(ensemble, tmp_path / "night")
    found = list(export_members(ensemble, directory, ["torchscript"]))
    assert [(one.member.config.head, one.error) for one in found] == [("segformer", ""), ("fpn", "")]
    images = torch.randint(0, 256, (2, 3, *ensemble.members[0].config.size), dtype=torch.uint8)
    for one in found:
        assert one.difference < 1e-4
        assert one.equal > 0.999
        model = Deployed(load_model(one.member.config, one.member.weights, 3)).eval()
        with torch.no_grad():
            assert np.allclose(FORMATS[one.format].read(one.path)(images), model(images).numpy(), atol=1e-4)
    assert {path.name for path in (directory / "members" / "01").iterdir()} == {
        "best.safetensors",
        "config.json",
        "model.torchscript.pt",
    }


def test_a_file_that_differs_says_so(ensemble, tmp_path, monkeypatch):
    def read_wrongly(path):
        run = FORMATS["torchscript"].read(path)
        return lambda images: run(images)[:, [1, 0, 2]]

    wrong = Format("wrong.pt", FORMATS["torchscript"].write, read_wrongly)
    monkeypatch.setitem(member_formats.FORMATS, "wrong", wrong)
    for one in export_members(ensemble, exported(ensemble, tmp_path / "night"), ["wrong"]):
        assert one.difference > 1e-2
        assert one.equal < 0.9


def test_a_member_that_fails_is_named_and_the_others_are_there(ensemble, tmp_path, monkeypatch):
    def write(model, images, path):
        path.write_text("half of it")
        if model.model.head.__class__.__name__ == "SegFormerHead":
            raise RuntimeError("no such operator\nand more")
        FORMATS["torchscript"].write(model, images, path)

    monkeypatch.setitem(member_formats.FORMATS, "picky", Format("picky.pt", write, FORMATS["torchscript"].read))
    directory = exported(ensemble, tmp_path / "night")
    first, second = export_members(ensemble, directory, ["picky"])
    assert (first.member.name, first.error) == ("night-0000", "RuntimeError: no such operator")
    assert second.error == ""
    assert [path.parent.name for path in directory.rglob("*picky*")] == ["02"]


@pytest.mark.parametrize(("head", "family"), PAIRS)
@pytest.mark.parametrize("name", ["torch-export", "torchscript"])
def test_heads_and_families_keep_their_logits(head, family, name, tmp_path):
    check(head, family, name, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(("head", "family"), ALL)
@pytest.mark.parametrize("name", ["torch-export", "torchscript"])
def test_every_head_and_family_keeps_its_logits(head, family, name, tmp_path):
    check(head, family, name, tmp_path)


@pytest.mark.skipif(bool(FORMATS["onnx"].missing), reason="needs onnx, onnxscript and onnxruntime")
@pytest.mark.parametrize(("head", "family"), PAIRS[:2])
def test_onnx_keeps_the_logits(head, family, tmp_path):
    check(head, family, "onnx", tmp_path)


def check(head, family, name, tmp_path):
    """Of three images and of one, so that the file does not keep the size of the batch that it was traced on."""
    with narrow_heads():
        model = Deployed(build(head, family, num_classes=3)).eval()
    images = torch.randint(0, 256, (3, 3, 64, 96), dtype=torch.uint8)
    result = member_formats._export(None, name, tmp_path / FORMATS[name].file_name, model, images)
    assert result.error == ""
    with torch.no_grad():
        scale = float(model(images).abs().max())
    assert result.difference < 1e-4 * scale
    assert result.equal > 0.999
