"""Swin Transformers of four sizes with six heads, trained with AdamW and warm-up (Liu et al., ICCV 2021).

The space is made for GPUs of 32 GB. The first seven trials are the heads' published recipes; the ranges lie around
them.
"""

from spaces._batch_size import batch

TRIALS = 40


# The papers' augmentation is a zoom by 0.5 to 2, a crop, a flip and changed colours. Their warm-up of 1500 steps is a
# share of the run: 0.3 of 30 epochs where it has 160,000 steps, 0.6 where it has 80,000.
AS_PUBLISHED = {"loss": "ce", "class_weights": "none", "augmentation": "photometric", "effective_batch": 16}
# Zhang et al., NeurIPS 2021: 1000 steps of warm-up, and a tenth of the rate from 60,000 and 72,000 of 80,000 on
KNET = {
    "head": "knet_upernet", "lr": 6e-5, "head_lr_factor": 1.0, "weight_decay": 5e-4,
    "schedule": "step", "warmup_epochs": 0.4, **AS_PUBLISHED,
}  # fmt: skip
RECIPES = [
    # Liu et al., ICCV 2021
    {
        "head": "upernet", "lr": 6e-5, "head_lr_factor": 1.0, "weight_decay": 0.01, "drop_path": 0.3,
        "schedule": "linear", "warmup_epochs": 0.3, **AS_PUBLISHED,
    },
    # Yan et al., 2022: as SegFormer
    {
        "head": "lawin", "lr": 6e-5, "head_lr_factor": 10.0, "weight_decay": 0.01, "drop_path": 0.3,
        "schedule": "linear", "warmup_epochs": 0.3, **AS_PUBLISHED,
    },
    # Jain et al., 2021
    {
        "head": "semask_fpn", "lr": 1e-4, "head_lr_factor": 1.0, "weight_decay": 1e-4, "drop_path": 0.3,
        "schedule": "linear", "warmup_epochs": 0.6, **AS_PUBLISHED,
    },
    {"backbone": "swin_tiny_patch4_window7_224", "drop_path": 0.3, **KNET},
    {"backbone": "swin_large_patch4_window7_224", "drop_path": 0.4, **KNET},
    # Xie et al., NeurIPS 2021
    {
        "head": "segformer", "lr": 6e-5, "head_lr_factor": 10.0, "weight_decay": 0.01, "drop_path": 0.1,
        "schedule": "linear", "warmup_epochs": 0.3, **AS_PUBLISHED,
    },
    # Jain et al., 2021: what SeMask is compared with
    {
        "head": "fpn", "lr": 1e-4, "head_lr_factor": 1.0, "weight_decay": 1e-4, "drop_path": 0.3,
        "schedule": "linear", "warmup_epochs": 0.6, **AS_PUBLISHED,
    },
]  # fmt: skip


def suggest(trial):
    """Return the configuration of a trial, with the values that `trial` suggests."""
    backbone = trial.suggest_categorical(
        "backbone",
        [
            "swin_tiny_patch4_window7_224",
            "swin_small_patch4_window7_224",
            "swin_base_patch4_window7_224",
            "swin_large_patch4_window7_224",
        ],
    )
    head = trial.suggest_categorical("head", ["upernet", "lawin", "semask_fpn", "knet_upernet", "segformer", "fpn"])
    effective = trial.suggest_categorical("effective_batch", [8, 16])
    return {
        "backbone": backbone,
        "head": head,
        "loss": trial.suggest_categorical("loss", ["ce", "focal", "ce_dice_3_1", "ce_dice_1_3", "ce_focal_dice"]),
        "class_weights": trial.suggest_categorical("class_weights", ["none", "inverse_sqrt"]),
        "optimizer": "adamw",
        "lr": trial.suggest_float("lr", 2e-5, 3e-4, log=True),
        "head_lr_factor": trial.suggest_categorical("head_lr_factor", [1.0, 5.0, 10.0]),
        "weight_decay": trial.suggest_float("weight_decay", 1e-4, 0.1, log=True),
        "schedule": trial.suggest_categorical("schedule", ["linear", "cosine", "cosine_restarts", "one_cycle", "step"]),
        "warmup_epochs": trial.suggest_float("warmup_epochs", 0.2, 1.0, step=0.1),
        "drop_path": trial.suggest_float("drop_path", 0.0, 0.4, step=0.1),
        "augmentation": trial.suggest_categorical("augmentation", ["light", "photometric", "strong", "copy_paste"]),
        "fold": trial.suggest_categorical("fold", [0, 1, 2, 3, 4]),
        "grad_clip": 1.0,
        "image_size": "512",
        "epochs": 30,
        **batch(backbone, head, effective),
    }
