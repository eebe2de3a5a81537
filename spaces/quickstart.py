"""Small CNNs from scratch on the built-in data set: to see everything work on a CPU within minutes, not to win.

Costs about four minutes on two CPU cores with the defaults.
"""

TRIALS = 10
DATA = "sample"


def suggest(trial):
    return {
        "head": trial.suggest_categorical("head", ["unet", "fpn", "segformer"]),
        "backbone": trial.suggest_categorical("backbone", ["mobilenetv3_small_075", "resnet18", "efficientnet_lite0"]),
        "loss": trial.suggest_categorical("loss", ["ce", "ce_dice_3_1", "ce_dice_1_3"]),
        "lr": trial.suggest_float("lr", 1e-3, 6e-3, log=True),
        "schedule": trial.suggest_categorical("schedule", ["cosine", "poly"]),
        "augmentation": trial.suggest_categorical("augmentation", ["flip", "light"]),
        "batch_size": 8,
        "warmup_epochs": 0.5,
        "pretrained": False,
        "image_size": "96",
        "epochs": 9,
    }
