"""Swin Transformers of four sizes under five heads, trained with AdamW and warm-up (Liu et al., ICCV 2021).

Made for GPUs; the ranges of lr, weight decay and drop path lie around those of the paper's UPerNet.
"""

TRIALS = 40


def suggest(trial):
    backbone = trial.suggest_categorical(
        "backbone",
        [
            "swin_tiny_patch4_window7_224",
            "swin_small_patch4_window7_224",
            "swin_base_patch4_window7_224",
            "swin_large_patch4_window7_224",
        ],
    )
    return {
        "backbone": backbone,
        "head": trial.suggest_categorical("head", ["upernet", "fpn", "unet", "unetplusplus", "segformer"]),
        "loss": trial.suggest_categorical("loss", ["ce", "focal", "ce_dice_3_1", "ce_dice_1_3", "ce_focal_dice"]),
        "class_weights": trial.suggest_categorical("class_weights", ["none", "inverse_sqrt"]),
        "optimizer": "adamw",
        "lr": trial.suggest_float("lr", 2e-5, 3e-4, log=True),
        "head_lr_factor": trial.suggest_categorical("head_lr_factor", [1.0, 5.0, 10.0]),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 0.1, log=True),
        "schedule": trial.suggest_categorical("schedule", ["poly", "cosine", "cosine_restarts", "step"]),
        "warmup_epochs": trial.suggest_categorical("warmup_epochs", [0.5, 1.0]),
        # Swin-B and Swin-L at 512x512 fill a 32 GB card with fewer photos; accumulation keeps the batch the same.
        **_batch(trial, large="base" in backbone or "large" in backbone),
        "drop_path": trial.suggest_float("drop_path", 0.0, 0.4, step=0.1),
        "augmentation": trial.suggest_categorical("augmentation", ["light", "photometric", "strong"]),
        "fold": trial.suggest_categorical("fold", [0, 1, 2, 3, 4]),
        "grad_clip": 1.0,
        "image_size": "512",
        "epochs": 30,
    }


def _batch(trial, large):
    effective = trial.suggest_categorical("effective_batch", [8, 16])
    batch_size = 4 if large else 8
    return {"batch_size": batch_size, "accumulate": effective // batch_size}
