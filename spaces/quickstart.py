"""Small networks with ImageNet weights on the built-in photos: all parts of SegVote at work on a CPU within minutes."""

TRIALS = 5
DATA = "sample"
GRACE_PERIOD = 4  # all trials run to their end: so few and short ones are not worth stopping
SCORE_TEST = True  # the built-in test.json has labels: the vote is scored on it at the end

RECIPES = [
    {"head": "segformer", "loss": "ce_dice_3_1", "augmentation": "light", "lr": 2e-3},
    {"head": "unet", "loss": "ce_dice_3_1", "augmentation": "flip", "lr": 1e-3},
    {"head": "fpn", "loss": "ce", "augmentation": "light", "lr": 1e-3},
]


def suggest(trial):
    """Return the configuration of a trial, with the values that `trial` suggests."""
    return {
        "head": trial.suggest_categorical("head", ["segformer", "unet", "fpn"]),
        "backbone": "tf_efficientnet_lite0",  # its weights are installed as a package
        "loss": trial.suggest_categorical("loss", ["ce", "ce_dice_3_1"]),
        "augmentation": trial.suggest_categorical("augmentation", ["flip", "light"]),
        "lr": trial.suggest_float("lr", 1e-3, 4e-3, log=True),
        "class_weights": "inverse_sqrt",  # six classes out of ten are rare
        "schedule": "one_cycle",
        "warmup_epochs": 0.5,
        "batch_size": 8,
        "image_size": "96",
        "epochs": 4,
    }
