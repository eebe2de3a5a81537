"""TrialConfig: what a space may return, and what it is told otherwise."""

import json

import numpy as np
import pytest

from trainables.config import TrialConfig, parse_size
from trainables.errors import UserError

LEAST = {"head": "unet", "backbone": "resnet18"}


def test_two_keys_are_enough():
    config = TrialConfig.from_dict(LEAST)
    assert (config.loss, config.optimizer, config.fold, config.size) == ("ce", "adamw", "all", (512, 512))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1e-3}, "unknown key 'learning_rate'"),
        ({"batchsize": 4}, "unknown key 'batchsize' .*did you mean batch_size"),
        ({"zzz": 4}, "unknown key 'zzz' .*known keys are head, backbone, pretrained"),
        ({"head": "upernett"}, r"unknown head 'upernett'.*: choose one of .*upernet"),
        ({"backbone": "resnet1800"}, "resnet1800"),
        ({"loss": "hinge"}, r"unknown loss 'hinge'.*: choose one of .*ce_dice_1_3"),
        ({"optimizer": "lamb"}, r"unknown optimizer 'lamb'.*: choose one of .*adamw"),
        ({"schedule": "lineal"}, r"unknown schedule 'lineal'.*: choose one of .*poly"),
        ({"augmentation": "heavy"}, r"unknown augmentation 'heavy'.*: choose one of .*strong"),
        ({"precision": "int8"}, r"unknown precision 'int8'.*: choose one of auto, fp32"),
        ({"class_weights": "sqrt"}, r"unknown class_weights 'sqrt'.*: choose one of none, inverse_sqrt"),
        ({"batch_size": 0}, "`batch_size` is 0, but must be at least 1"),
        ({"batch_size": 4.0}, "`batch_size` is 4.0, but must be of type int"),
        ({"batch_size": True}, "`batch_size` is True, but must be of type int"),
        ({"pretrained": 1}, "`pretrained` is 1, but must be of type bool"),
        ({"head": ["unet"]}, r"`head` is \['unet'\], but must be of type str"),
        ({"lr": "0.1"}, "`lr` is '0.1', but must be of type float"),
        ({"accumulate": 0}, "`accumulate` is 0, but must be at least 1"),
        ({"epochs": 0}, "`epochs` is 0, but must be at least 1"),
        ({"lr": 0.0}, "`lr` is 0.0, but must be above 0"),
        ({"lr": float("nan")}, "`lr` is nan, but must be above 0"),
        ({"lr": float("inf")}, "`lr` is inf, but must be above 0"),
        ({"head_lr_factor": -1}, "`head_lr_factor` is -1.0, but must be above 0"),
        ({"weight_decay": -0.1}, "`weight_decay` is -0.1, but must be at least 0"),
        ({"weight_decay": float("nan")}, "`weight_decay` is nan, but must be at least 0"),
        ({"weight_decay": float("inf")}, "`weight_decay` is inf"),
        ({"grad_clip": -1.0}, "`grad_clip` is -1.0, but must be at least 0"),
        ({"seed": -1}, "`seed` is -1, but must be at least 0"),
        ({"seed": 2**64}, "`seed` is 18446744073709551616, but must be at most 18446744073709551615"),
        ({"drop_path": 1.0}, r"`drop_path` is 1.0, but must be in \[0, 1\)"),
        ({"dropout": -0.1}, r"`dropout` is -0.1, but must be in \[0, 1\)"),
        ({"ema_decay": 1.0}, r"`ema_decay` is 1.0, but must be in \[0, 1\)"),
        ({"momentum": float("nan")}, r"`momentum` is nan, but must be in \[0, 1\)"),
        ({"layer_decay": 0.0}, "`layer_decay` is 0.0, but must be above 0 and at most 1"),
        ({"layer_decay": 1.1}, "`layer_decay` is 1.1, but must be above 0"),
        ({"warmup_epochs": 31.0}, "`warmup_epochs` is 31.0, but must not exceed `epochs`, 30"),
        ({"fold": -1}, "`fold` is -1, but must be a fold's number from 0 on, or 'all'"),
        ({"fold": "none"}, "`fold` is 'none', but must be"),
        ({"fold": True}, "`fold` is True, but must be"),
        ({"image_size": "8"}, "image_size is '8', but must be N or WIDTHxHEIGHT"),
        ({"image_size": "64x64x3"}, "image_size is '64x64x3'"),
        ({"image_size": "large"}, "image_size is 'large'"),
        ({"image_size": "64x"}, "image_size is '64x'"),
        ({"image_size": "100000"}, "image_size is '100000', but must be .* from 16 to 8192"),
        ({"image_size": "9²"}, "image_size is '9²'"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(changes, message):
    with pytest.raises(UserError, match=message):
        TrialConfig.from_dict({**LEAST, **changes})


@pytest.mark.parametrize("missing", ["head", "backbone"])
def test_head_and_backbone_must_be_given(missing):
    values = {key: value for key, value in LEAST.items() if key != missing}
    with pytest.raises(UserError, match=f"has no '{missing}': .*--fix {missing}="):
        TrialConfig.from_dict(values)


@pytest.mark.parametrize(
    ("text", "size"), [("512", (512, 512)), ("640x480", (480, 640)), ("640X480", (480, 640)), ("16", (16, 16))]
)
def test_sizes_are_written_width_first_and_read_height_first(text, size):
    assert parse_size(text) == size


def test_a_size_may_come_as_a_number():
    assert TrialConfig.from_dict({**LEAST, "image_size": 96}).size == (96, 96)


def test_numbers_of_numpy_and_whole_floats_are_taken():
    config = TrialConfig.from_dict({**LEAST, "lr": np.float64(0.5), "weight_decay": 0})
    assert (config.lr, config.weight_decay) == (0.5, 0.0)
    assert isinstance(config.weight_decay, float)


def test_what_follows_from_the_choices():
    config = TrialConfig.from_dict({**LEAST, "lr": 0.01, "head_lr_factor": 10.0, "batch_size": 4, "accumulate": 3})
    assert config.head_lr == pytest.approx(0.1)
    assert config.effective_batch == 12


def test_it_comes_back_from_json_equal():
    config = TrialConfig.from_dict({**LEAST, "fold": 2, "lr": 3e-4})
    assert TrialConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
