"""Names that are read from source files, without the libraries, are those that the libraries and tables have."""

import os
import subprocess
import sys

import pytest
import timm

from trainables.data.batches.policies import AUGMENTATIONS
from trainables.errors import UserError
from trainables.known_names import ROOT, check_backbone, check_name, known_names, timm_models
from trainables.losses import LOSSES
from trainables.models import HEADS
from trainables.optim import OPTIMIZERS, SCHEDULE_NAMES


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("head", HEADS),
        ("loss", LOSSES),
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULE_NAMES),
        ("augmentation", AUGMENTATIONS),
    ],
)
def test_the_names_are_the_keys_of_the_table(key, table):
    assert known_names()[key] == tuple(table)


def test_the_backbones_are_those_that_timm_builds():
    names, old_names = timm_models()
    small = {name for name in timm.list_models() if "_micro" in name}  # that other tests register
    assert set(timm.list_models()) - small <= set(names)
    assert all(map(timm.is_model, names))
    assert all(map(timm.is_model, old_names))
    assert len(old_names) > 100


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k", "mit_b5", "unet_encoder_64", "tf_efficientnet_b0_ap"])
def test_a_backbone_that_can_be_built_is_taken(name):
    check_backbone(name)


def test_a_mistyped_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"unknown head 'unett' \(did you mean unet\?\): choose one of unet, "):
        check_name("head", "unett")
    with pytest.raises(UserError, match=r"unknown backbone 'resnet5' \(did you mean .*resnet50"):
        check_name("backbone", "resnet5")
    with pytest.raises(
        UserError, match=r"unknown pretrained tag in backbone 'resnet18\.a9': choose one of resnet18\.a1"
    ):
        check_name("backbone", "resnet18.a9")


def test_a_configuration_is_checked_without_torch_and_timm():
    probe = """
import sys
from trainables.config import TrialConfig
TrialConfig(head="unet", backbone="resnet50")
print(sorted({"torch", "timm", "ray", "mlflow"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", probe], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_names_are_known_where_the_locale_has_no_utf_8():
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    script = (
        "from trainables.known_names import check_name as check; check('backbone', 'resnet18'), check('head', 'fpn')"
    )
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
