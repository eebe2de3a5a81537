"""The search space of the recorded learning curves."""

from typing import Any

import numpy as np

EPOCHS = 18
CURVES = ("camvid", "garbage6", "camvid-small", "garbage6-small")
TOO_SLOW = {"camvid-small": "deeplabv3plus", "garbage6-small": "deeplabv3plus"}
"""The head whose runs are left out of a design: an epoch of it took seven times as long as one of SegFormer's head."""
HEADS = ["unet", "unetplusplus", "fpn", "deeplabv3plus", "segformer", "ocr"]


def suggest(trial: Any) -> dict[str, Any]:
    """Return a configuration for 128x96 pixels. Ranges of rates are wide: some trials shall fail to learn."""
    optimizer = trial.suggest_categorical("optimizer", ["adamw", "adam", "sgd"])
    rates = (3e-3, 0.3) if optimizer == "sgd" else (1e-4, 1e-2)
    return {
        "backbone": trial.suggest_categorical(
            "backbone",
            ["tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2", "mobilenetv2_100"],
        ),
        "head": trial.suggest_categorical("head", HEADS),
        "loss": trial.suggest_categorical("loss", ["ce", "focal", "ce_dice_3_1", "ce_dice_1_3", "ce_focal_dice"]),
        "class_weights": trial.suggest_categorical("class_weights", ["none", "inverse_sqrt"]),
        "optimizer": optimizer,
        "lr": trial.suggest_float("sgd_lr" if optimizer == "sgd" else "adam_lr", *rates, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 0.1, log=True),
        "head_lr_factor": trial.suggest_categorical("head_lr_factor", [1.0, 3.0, 10.0]),
        "schedule": trial.suggest_categorical("schedule", ["poly", "cosine", "cosine_restarts", "one_cycle", "step"]),
        "warmup_epochs": trial.suggest_categorical("warmup_epochs", [0.0, 1.0]),
        "batch_size": trial.suggest_categorical("batch_size", [16, 32]),
        "augmentation": trial.suggest_categorical("augmentation", ["none", "flip", "light", "photometric", "strong"]),
        "grad_clip": 1.0,
        "epochs": EPOCHS,
    }


class Draw:
    """A trial that draws each parameter at random and notes it in `params`, as Optuna's trials do."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        self.params[name] = choices[self._rng.integers(len(choices))]
        return self.params[name]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        assert log
        self.params[name] = float(np.exp(self._rng.uniform(np.log(low), np.log(high))))
        return self.params[name]


def good(draw: Draw) -> dict[str, Any]:
    """Return a configuration with rates that learn from few photos: a pool to vote with consists of such runs."""
    config = suggest(draw)
    low, high = (0.02, 0.1) if config["optimizer"] == "sgd" else (5e-4, 3e-3)
    return config | {
        "lr": draw.suggest_float("good_lr", low, high, log=True),
        "head_lr_factor": 1.0,
        "batch_size": 16,
        "warmup_epochs": 1.0 if config["schedule"] != "one_cycle" else 0.0,
        "augmentation": draw.suggest_categorical("good_augmentation", ["flip", "light", "photometric"]),
    }
