"""Convolutional backbones under six heads: quicker than transformers, and unlike them in their mistakes.

Made for GPUs, but mobilenetv2_100 and tf_efficientnet_lite0 train on a CPU at 128 pixels.
"""

TRIALS = 30


def suggest(trial):
    optimizer = trial.suggest_categorical("optimizer", ["adamw", "sgd"])
    return {
        "backbone": trial.suggest_categorical(
            "backbone", ["resnet50", "convnext_tiny", "tf_efficientnet_b3", "tf_efficientnet_lite0", "mobilenetv2_100"]
        ),
        "head": trial.suggest_categorical(
            "head", ["unet", "unetplusplus", "fpn", "upernet", "deeplabv3plus", "segformer"]
        ),
        "loss": trial.suggest_categorical("loss", ["ce", "focal", "ce_dice_3_1", "ce_dice_1_3", "ce_focal_dice"]),
        "class_weights": trial.suggest_categorical("class_weights", ["none", "inverse_sqrt"]),
        "optimizer": optimizer,
        **_rates(trial, optimizer),
        "schedule": trial.suggest_categorical("schedule", ["poly", "cosine", "cosine_restarts", "step"]),
        "warmup_epochs": 0.5,
        "batch_size": trial.suggest_categorical("batch_size", [8, 16]),
        "augmentation": trial.suggest_categorical("augmentation", ["light", "photometric", "strong"]),
        "fold": trial.suggest_categorical("fold", [0, 1, 2, 3, 4]),
        "image_size": "512",
        "epochs": 30,
    }


def _rates(trial, optimizer):
    if optimizer == "sgd":
        return {
            "lr": trial.suggest_float("sgd_lr", 1e-3, 5e-2, log=True),
            "weight_decay": trial.suggest_float("sgd_weight_decay", 1e-5, 1e-3, log=True),
        }
    return {
        "lr": trial.suggest_float("adamw_lr", 1e-4, 2e-3, log=True),
        "weight_decay": trial.suggest_float("adamw_weight_decay", 1e-3, 0.1, log=True),
    }
