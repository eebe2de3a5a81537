"""TrialConfig: all settings that decide one training run, checked when it is made and never changed after."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from trainables.errors import UserError, nearest
from trainables.known_names import check_name

FOLD_ALL = "all"
IMAGE_SIZES = (16, 8192)  # pixels, each side
LARGEST_SEED = 2**64 - 1  # that PyTorch takes


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """The configuration of one trial. Spaces return these keys as a plain dict, and `from_dict` checks their types."""

    head: str
    backbone: str
    pretrained: bool = True
    weights_dir: str | None = None  # holds a safetensors file for each timm model; None: timm downloads weights
    init_from: str | None = None  # a checkpoint of the backbone from elsewhere, instead of pretrained weights
    init_partial: bool = False  # allows a checkpoint that lacks more than a tenth of the backbone's parameters

    image_size: str = "512"  # what photos are resized to: "N" or "WIDTHxHEIGHT", pixels
    augmentation: str = "light"
    edits: str = "none"  # the corrections of the training labels, by the name of their file
    fold: int | str = FOLD_ALL  # the fold that is left out of training; "all" leaves out none

    loss: str = "ce"
    class_weights: str = "none"
    optimizer: str = "adamw"
    lr: float = 1e-3  # of the backbone, after warm-up
    head_lr_factor: float = 1.0  # the head's learning rate is lr × this
    layer_decay: float = 1.0  # factor of the learning rate from each layer of the backbone to the one below; 1: off
    weight_decay: float = 0.01  # adam and sgd add it to the gradient (L2), where 1e-4 is usual
    momentum: float = 0.9  # of sgd only
    schedule: str = "poly"
    warmup_epochs: float = 0.0
    batch_size: int = 8  # images per forward and backward pass
    accumulate: int = 1  # passes per optimizer step: the effective batch is batch_size × accumulate
    grad_clip: float = 0.0  # the largest norm of the gradient; 0: off
    ema_decay: float = 0.0  # of the averaged weights that are evaluated and kept, after many steps; 0: off
    drop_path: float = 0.0
    dropout: float = 0.1

    epochs: int = 30
    seed: int = 0
    precision: str = "auto"
    channels_last: bool = True
    compile: bool = False  # use torch.compile: it takes minutes before the first step, then steps on GPUs are faster

    def __post_init__(self) -> None:
        _check_types(self)
        _check_choices(self)
        _check_ranges(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrialConfig":
        """Return the configuration with these values.

        Raises UserError, with the key, for unknown or missing keys and for impossible values.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in names:
                hint = nearest(key, names) or f": known keys are {', '.join(names)}"
                raise UserError(f"unknown key {key!r} in a trial's configuration{hint}")
        for key in ("head", "backbone"):
            if key not in values:
                raise UserError(f"a trial's configuration has no {key!r}: let the space return it, or --fix {key}=…")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return parse_size(self.image_size)

    @property
    def head_lr(self) -> float:
        return self.lr * self.head_lr_factor

    @property
    def effective_batch(self) -> int:
        return self.batch_size * self.accumulate


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) from "N" or "WIDTHxHEIGHT", in pixels.

    Raises UserError for any other text, and for a side below 16 or above 8192.
    """
    parts = str(text).lower().split("x")
    low, high = IMAGE_SIZES
    if len(parts) not in (1, 2) or not all(part.isdecimal() and low <= int(part) <= high for part in parts):
        raise UserError(
            f"image_size is {text!r}, but must be N or WIDTHxHEIGHT, in pixels from {low} to {high}: 512 or 640x480"
        )
    return int(parts[-1]), int(parts[0])


def _check_types(config: TrialConfig) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.type is float and isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(config, field.name, float(value))
        elif field.name == "image_size":
            object.__setattr__(config, field.name, str(value))
        elif isinstance(value, bool) != (field.type is bool) or not isinstance(value, field.type):
            expected = getattr(field.type, "__name__", str(field.type))
            raise UserError(f"`{field.name}` is {value!r}, but must be of type {expected}")


def _check_choices(config: TrialConfig) -> None:
    for key in ("head", "backbone", "loss", "optimizer", "schedule", "augmentation", "precision", "class_weights"):
        check_name(key, getattr(config, key))


def _check_ranges(config: TrialConfig) -> None:
    parse_size(config.image_size)
    at_least = {"batch_size": 1, "accumulate": 1, "epochs": 1, "seed": 0}
    at_least |= {"warmup_epochs": 0, "grad_clip": 0, "weight_decay": 0}
    for name, low in at_least.items():
        if not low <= getattr(config, name) < float("inf"):
            raise UserError(f"`{name}` is {getattr(config, name)}, but must be at least {low} and finite")
    if config.seed > LARGEST_SEED:
        raise UserError(f"`seed` is {config.seed}, but must be at most {LARGEST_SEED}")
    for name in ("lr", "head_lr_factor"):
        if not 0 < getattr(config, name) < float("inf"):
            raise UserError(f"`{name}` is {getattr(config, name)}, but must be above 0")
    for name in ("ema_decay", "drop_path", "dropout", "momentum"):
        if not 0 <= getattr(config, name) < 1:
            raise UserError(f"`{name}` is {getattr(config, name)}, but must be in [0, 1)")
    if not 0 < config.layer_decay <= 1:
        raise UserError(f"`layer_decay` is {config.layer_decay}, but must be above 0 and at most 1")
    if config.warmup_epochs > config.epochs:
        raise UserError(f"`warmup_epochs` is {config.warmup_epochs}, but must not exceed `epochs`, {config.epochs}")
    if config.fold != FOLD_ALL and not (isinstance(config.fold, int) and config.fold >= 0):
        raise UserError(f"`fold` is {config.fold!r}, but must be a fold's number from 0 on, or {FOLD_ALL!r}")
