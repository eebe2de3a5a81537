"""Convolutional backbones with six heads, which train faster than transformers and make different mistakes.

The space is made for GPUs, but mobilenetv2_100 and tf_efficientnet_lite0 train on a CPU at 128 pixels. The first six
trials are the heads' published recipes.
"""

from spaces._batch_size import batch

TRIALS = 30

AS_PUBLISHED = {"loss": "ce", "class_weights": "none", "augmentation": "photometric", "effective_batch": 16}
SGD = {
    "optimizer": "sgd", "sgd_lr": 0.01, "sgd_weight_decay": 5e-4, "schedule": "poly", "warmup_epochs": 0.0,
    **AS_PUBLISHED,
}  # fmt: skip
RECIPES = [
    {"head": "ocr", "backbone": "hrnet_w48", **SGD},  # Yuan et al., ECCV 2020
    {"head": "deeplabv3plus", "backbone": "resnet50", **SGD},  # Chen et al., ECCV 2018
    {"head": "deeplabv3", "backbone": "resnet50", **SGD},  # Chen et al., 2017
    {"head": "fcn", "backbone": "resnet50", **SGD},  # Long et al., CVPR 2015, with a rate for pretrained ResNets
    {"head": "unet", "backbone": "resnet50", **SGD},  # Ronneberger et al., 2015, likewise
    # Zhou et al., 2018
    {"head": "unetplusplus", "optimizer": "adam", "adam_lr": 3e-4, "warmup_epochs": 0.0, **AS_PUBLISHED},
]


def suggest(trial):
    """Return the configuration of a trial, with the values that `trial` suggests."""
    optimizer = trial.suggest_categorical("optimizer", ["adamw", "sgd", "adam"])
    backbone = trial.suggest_categorical(
        "backbone",
        ["resnet50", "hrnet_w48", "convnext_tiny", "tf_efficientnet_b3", "tf_efficientnet_lite0", "mobilenetv2_100"],
    )
    head = trial.suggest_categorical("head", ["unet", "unetplusplus", "deeplabv3plus", "deeplabv3", "fcn", "ocr"])
    effective = trial.suggest_categorical("effective_batch", [8, 16])
    return {
        "backbone": backbone,
        "head": head,
        "loss": trial.suggest_categorical("loss", ["ce", "focal", "ce_dice_3_1", "ce_dice_1_3", "ce_focal_dice"]),
        "class_weights": trial.suggest_categorical("class_weights", ["none", "inverse_sqrt"]),
        "optimizer": optimizer,
        **_rates(trial, optimizer),
        "schedule": trial.suggest_categorical("schedule", ["poly", "cosine", "cosine_restarts", "one_cycle", "step"]),
        "warmup_epochs": trial.suggest_categorical("warmup_epochs", [0.5, 0.0]),
        "augmentation": trial.suggest_categorical("augmentation", ["light", "photometric", "strong", "copy_paste"]),
        "fold": trial.suggest_categorical("fold", [0, 1, 2, 3, 4]),
        "image_size": "512",
        "epochs": 30,
        **batch(backbone, head, effective),
    }


def _rates(trial, optimizer):
    if optimizer == "sgd":
        return {
            "lr": trial.suggest_float("sgd_lr", 1e-3, 5e-2, log=True),
            "weight_decay": trial.suggest_float("sgd_weight_decay", 1e-5, 1e-3, log=True),
        }
    if optimizer == "adam":
        return {"lr": trial.suggest_float("adam_lr", 1e-4, 2e-3, log=True), "weight_decay": 0.0}
    return {
        "lr": trial.suggest_float("adamw_lr", 1e-4, 2e-3, log=True),
        "weight_decay": trial.suggest_float("adamw_weight_decay", 1e-3, 0.1, log=True),
    }
