"""BEiT and BEiT v2, base and large, with five heads and layer-wise learning rates (Bao et al., ICLR 2022).

The space is made for GPUs of 32 GB. Photos are 640 pixels wide as in the paper, which takes 1.6 times as long as 512.
The first two trials are the paper's recipes for the base and the large model with UPerNet; the ranges lie around them.
"""

from spaces._batch_size import batch

TRIALS = 30

# 1500 steps of warm-up in 160,000, and 3000 in 320,000, are 0.3 of 30 epochs.
AS_PUBLISHED = {
    "head": "upernet", "weight_decay": 0.05, "head_lr_factor": 1.0, "schedule": "linear", "warmup_epochs": 0.3,
    "loss": "ce", "class_weights": "none", "augmentation": "photometric", "effective_batch": 16,
}  # fmt: skip
RECIPES = [
    {"backbone": "beit_base_patch16_224", "lr": 3e-5, "layer_decay": 0.9, "drop_path": 0.1, **AS_PUBLISHED},
    {"backbone": "beit_large_patch16_224", "lr": 2e-5, "layer_decay": 0.95, "drop_path": 0.2, **AS_PUBLISHED},
]


def suggest(trial):
    """Return the configuration of a trial, with the values that `trial` suggests."""
    backbone = trial.suggest_categorical(
        "backbone",
        [
            "beit_base_patch16_224",
            "beitv2_base_patch16_224",
            "beit_large_patch16_224",
            "beitv2_large_patch16_224",
        ],
    )
    head = trial.suggest_categorical("head", ["upernet", "knet_upernet", "segformer", "fpn", "unet"])
    effective = trial.suggest_categorical("effective_batch", [8, 16])
    return {
        "backbone": backbone,
        "head": head,
        "loss": trial.suggest_categorical("loss", ["ce", "focal", "ce_dice_3_1", "ce_dice_1_3", "ce_focal_dice"]),
        "class_weights": trial.suggest_categorical("class_weights", ["none", "inverse_sqrt"]),
        "optimizer": "adamw",
        "lr": trial.suggest_float("lr", 1e-5, 1e-4, log=True),
        "head_lr_factor": trial.suggest_categorical("head_lr_factor", [1.0, 5.0, 10.0]),
        "layer_decay": trial.suggest_categorical("layer_decay", [0.85, 0.9, 0.95]),
        "weight_decay": trial.suggest_float("weight_decay", 0.01, 0.1, log=True),
        "schedule": trial.suggest_categorical("schedule", ["linear", "cosine", "cosine_restarts", "one_cycle", "step"]),
        "warmup_epochs": trial.suggest_float("warmup_epochs", 0.2, 1.0, step=0.1),
        "drop_path": trial.suggest_float("drop_path", 0.0, 0.3, step=0.1),
        "augmentation": trial.suggest_categorical("augmentation", ["light", "photometric", "strong", "copy_paste"]),
        "fold": trial.suggest_categorical("fold", [0, 1, 2, 3, 4]),
        "grad_clip": 1.0,
        "image_size": "640",
        "epochs": 30,
        **batch(backbone, head, effective, image_size=640),
    }
