"""Six families of backbones with ten heads: members that make different mistakes vote better than similar ones.

The space is made for GPUs of 32 GB. The first six trials are published recipes, one for each family, and every family
has its own range of learning rates.
"""

from spaces._batch_size import batch

TRIALS = 60

AS_PUBLISHED = {
    "loss": "ce", "class_weights": "none", "augmentation": "photometric", "effective_batch": 16,
    "schedule": "linear", "warmup_epochs": 0.3, "head_lr_factor": 1.0,
}  # fmt: skip
BY_SGD = {"optimizer": "sgd", "sgd_lr": 0.01, "sgd_weight_decay": 5e-4, **AS_PUBLISHED, "schedule": "poly"}
RECIPES = [
    # Liu et al., ICCV 2021
    {
        "backbone": "swin_base_patch4_window7_224", "head": "upernet", "swin_lr": 6e-5, "drop_path": 0.3,
        "adamw_weight_decay": 0.01, **AS_PUBLISHED,
    },
    # Yuan et al., ECCV 2020
    {"backbone": "hrnet_w48", "head": "ocr", **BY_SGD},
    # Liu et al., CVPR 2022
    {
        "backbone": "convnext_base", "head": "upernet", "convnext_lr": 1e-4, "drop_path": 0.4,
        "layer_decay": 0.9, "adamw_weight_decay": 0.05, **AS_PUBLISHED,
    },
    # Bao et al., ICLR 2022, except for the size of the photos
    {
        "backbone": "beit_base_patch16_224", "head": "upernet", "beit_lr": 3e-5, "drop_path": 0.1,
        "layer_decay": 0.9, "adamw_weight_decay": 0.05, **AS_PUBLISHED,
    },
    # Xie et al., NeurIPS 2021
    {
        "backbone": "mit_b3", "head": "segformer", "mit_lr": 6e-5, "drop_path": 0.1, "adamw_weight_decay": 0.01,
        **AS_PUBLISHED, "head_lr_factor": 10.0,
    },
    # Chen et al., ECCV 2018
    {"backbone": "resnet50", "head": "deeplabv3plus", **BY_SGD},
]  # fmt: skip

# By the prefix of a backbone's name. All other backbones are CNNs.
LEARNING_RATES = {"swin": (2e-5, 3e-4), "mit": (2e-5, 3e-4), "convnext": (3e-5, 5e-4), "beit": (1e-5, 1e-4)}


def suggest(trial):
    """Return the configuration of a trial, with the values that `trial` suggests."""
    backbone = trial.suggest_categorical(
        "backbone",
        [
            "swin_base_patch4_window7_224",
            "hrnet_w48",
            "convnext_base",
            "beit_base_patch16_224",
            "mit_b3",
            "resnet50",
            "swin_large_patch4_window7_224",
            "convnext_large",
            "beit_large_patch16_224",
            "tf_efficientnet_b3",
        ],
    )
    head = trial.suggest_categorical(
        "head",
        [
            "upernet",
            "ocr",
            "segformer",
            "deeplabv3plus",
            "knet_upernet",
            "semask_fpn",
            "lawin",
            "fpn",
            "unet",
            "unetplusplus",
        ],
    )
    effective = trial.suggest_categorical("effective_batch", [8, 16])
    return {
        "backbone": backbone,
        "head": head,
        "loss": trial.suggest_categorical("loss", ["ce", "focal", "ce_dice_3_1", "ce_dice_1_3", "ce_focal_dice"]),
        "class_weights": trial.suggest_categorical("class_weights", ["none", "inverse_sqrt"]),
        **_rates(trial, backbone),
        "head_lr_factor": trial.suggest_categorical("head_lr_factor", [1.0, 5.0, 10.0]),
        "schedule": trial.suggest_categorical(
            "schedule", ["linear", "poly", "cosine", "cosine_restarts", "one_cycle", "step"]
        ),
        "warmup_epochs": trial.suggest_float("warmup_epochs", 0.2, 1.0, step=0.1),
        "augmentation": trial.suggest_categorical("augmentation", ["light", "photometric", "strong", "copy_paste"]),
        "fold": trial.suggest_categorical("fold", [0, 1, 2, 3, 4]),
        "grad_clip": 1.0,
        "image_size": "512",
        "epochs": 30,
        **batch(backbone, head, effective),
    }


def _rates(trial, backbone):
    family = next((family for family in LEARNING_RATES if backbone.startswith(family)), None)
    if family is None:
        return _cnn_rates(trial)
    rates = {
        "optimizer": "adamw",
        "lr": trial.suggest_float(f"{family}_lr", *LEARNING_RATES[family], log=True),
        "weight_decay": trial.suggest_float("adamw_weight_decay", 1e-3, 0.1, log=True),
        "drop_path": trial.suggest_float("drop_path", 0.0, 0.5, step=0.1),
    }
    if family in ("convnext", "beit"):
        rates["layer_decay"] = trial.suggest_categorical("layer_decay", [0.85, 0.9, 0.95])
    return rates


def _cnn_rates(trial):
    optimizer = trial.suggest_categorical("optimizer", ["adamw", "sgd"])
    if optimizer == "sgd":
        return {
            "optimizer": optimizer,
            "lr": trial.suggest_float("sgd_lr", 1e-3, 5e-2, log=True),
            "weight_decay": trial.suggest_float("sgd_weight_decay", 1e-5, 1e-3, log=True),
        }
    return {
        "optimizer": optimizer,
        "lr": trial.suggest_float("cnn_lr", 1e-4, 2e-3, log=True),
        "weight_decay": trial.suggest_float("adamw_weight_decay", 1e-3, 0.1, log=True),
    }
