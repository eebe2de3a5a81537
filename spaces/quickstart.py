"""Small CNNs from scratch on the built-in data set: to see everything work on a CPU within minutes, not to win."""

TRIALS = 5
DATA = "sample"
GRACE_PERIOD = 2  # with so few and short trials, the first epoch says little about the last


def suggest(trial):
    return {
        "head": trial.suggest_categorical("head", ["fpn", "unet", "segformer"]),
        "backbone": trial.suggest_categorical("backbone", ["resnet10t", "mobilenetv3_small_075"]),
        "loss": trial.suggest_categorical("loss", ["ce", "ce_dice_3_1"]),
        "class_weights": trial.suggest_categorical("class_weights", ["none", "inverse_sqrt"]),
        "lr": trial.suggest_float("lr", 1e-3, 4e-3, log=True),
        "schedule": trial.suggest_categorical("schedule", ["one_cycle", "cosine"]),
        "augmentation": trial.suggest_categorical("augmentation", ["flip", "light"]),
        "batch_size": trial.suggest_categorical("batch_size", [4, 8]),
        "warmup_epochs": 0.5,
        "pretrained": False,
        "image_size": "64",
        "epochs": 4,
    }
