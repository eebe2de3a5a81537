"""ConvNeXt of four sizes with six heads and stage-wise learning rates (Liu et al., CVPR 2022).

The space is made for GPUs of 32 GB. The first trial is the paper's recipe with UPerNet; the ranges lie around it.
"""

from spaces._batch_size import batch

TRIALS = 30

RECIPES = [
    {
        "head": "upernet", "lr": 1e-4, "head_lr_factor": 1.0, "layer_decay": 0.9, "weight_decay": 0.05,
        # The paper's 1500 steps of warm-up in 160,000 steps are 0.3 of 30 epochs.
        "drop_path": 0.4, "schedule": "linear", "warmup_epochs": 0.3, "augmentation": "photometric",
        "loss": "ce", "class_weights": "none", "effective_batch": 16,
    },
]  # fmt: skip


def suggest(trial):
    """Return the configuration of a trial, with the values that `trial` suggests."""
    backbone = trial.suggest_categorical(
        "backbone", ["convnext_tiny", "convnext_small", "convnext_base", "convnext_large"]
    )
    head = trial.suggest_categorical("head", ["upernet", "knet_upernet", "segformer", "fpn", "unet", "deeplabv3plus"])
    effective = trial.suggest_categorical("effective_batch", [8, 16])
    return {
        "backbone": backbone,
        "head": head,
        "loss": trial.suggest_categorical("loss", ["ce", "focal", "ce_dice_3_1", "ce_dice_1_3", "ce_focal_dice"]),
        "class_weights": trial.suggest_categorical("class_weights", ["none", "inverse_sqrt"]),
        "optimizer": "adamw",
        "lr": trial.suggest_float("lr", 3e-5, 5e-4, log=True),
        "head_lr_factor": trial.suggest_categorical("head_lr_factor", [1.0, 5.0, 10.0]),
        "layer_decay": trial.suggest_categorical("layer_decay", [0.8, 0.9, 1.0]),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 0.1, log=True),
        "schedule": trial.suggest_categorical("schedule", ["linear", "cosine", "cosine_restarts", "one_cycle", "step"]),
        "warmup_epochs": trial.suggest_float("warmup_epochs", 0.2, 1.0, step=0.1),
        "drop_path": trial.suggest_float("drop_path", 0.0, 0.5, step=0.1),
        "augmentation": trial.suggest_categorical("augmentation", ["light", "photometric", "strong", "copy_paste"]),
        "fold": trial.suggest_categorical("fold", [0, 1, 2, 3, 4]),
        "grad_clip": 1.0,
        "image_size": "512",
        "epochs": 30,
        **batch(backbone, head, effective),
    }
