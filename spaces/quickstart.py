"""Small networks with ImageNet weights on the built-in photos: all parts of SegVote at work on a CPU within minutes."""

TRIALS = 4
DATA = "sample"
GRACE_PERIOD = 4  # all trials run to their end: so few and short ones are not worth stopping
SCORE_TEST = True  # the built-in test.json has labels: the vote is scored on it at the end

# Runs of about the same score that err in different places: the vote of such runs is better than each of them.
RECIPES = [
    {"head": "segformer", "loss": "ce_dice_3_1", "lr": 2e-3, "batch_size": 8},
    {"head": "segformer", "loss": "ce", "lr": 3e-3, "batch_size": 8},
    {"head": "segformer", "loss": "ce_dice_3_1", "lr": 3e-3, "batch_size": 8},
    {"head": "fpn", "loss": "ce_dice_3_1", "lr": 2e-3, "batch_size": 8},
]


def suggest(trial):
    """Return the configuration of a trial, with the values that `trial` suggests."""
    return {
        "head": trial.suggest_categorical("head", ["segformer", "fpn", "unet"]),
        "backbone": "tf_efficientnet_lite0",  # its weights are installed as a package
        "loss": trial.suggest_categorical("loss", ["ce", "ce_dice_3_1"]),
        "augmentation": "flip",
        "lr": trial.suggest_float("lr", 1e-3, 4e-3, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [4, 8]),
        "class_weights": "inverse_sqrt",  # six classes out of ten are rare
        "schedule": "one_cycle",
        "warmup_epochs": 0.5,
        "image_size": "128",
        "epochs": 4,
    }
