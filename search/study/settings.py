"""Settings: what the command line asked for, checked. The settings that define a study are stored with it."""

import dataclasses
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from search.study.place_flags import HIDDEN, without_password
from trainables.data.photos.photo_files import MAX_MEGAPIXELS
from trainables.errors import UserError

SCHEDULER_BEFORE = "stop"
"""The scheduler of studies that were made before --scheduler was there."""


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """The settings that all commands have which train trials. None stands for a default that the machine decides.

    `made_of` names the settings that define a study and stay the same when it is resumed. `ran_with` names those that a
    resumed study takes over unless the flag is given again. The settings in `places` are paths: a resumed study may
    find its data elsewhere, and recognises it by its fingerprint.
    """

    made_of: ClassVar[tuple[str, ...]] = (
        "data", "train_json", "val_json", "unlabelled", "pseudo", "pseudo_weight",
    )  # fmt: skip
    ran_with: ClassVar[tuple[str, ...]] = (
        "weights_dir", "concurrency", "gpus_per_trial", "cpus_per_trial", "max_failures", "tracking_uri",
        "max_megapixels", "wandb",
    )  # fmt: skip
    places: ClassVar[tuple[str, ...]] = ("data", "train_json", "val_json", "pseudo")

    data: str | None = None
    train_json: str | None = None  # the COCO file of the training images, if it is not train.json
    val_json: str | None = None  # the COCO file of the holdout, if it is not val.json
    max_megapixels: float = MAX_MEGAPIXELS  # larger photos are refused
    unlabelled: str = "background"
    pseudo: str | None = None
    pseudo_weight: float = 0.5  # the weight in the loss of a photo with pseudo-labels; labelled photos have 1
    weights_dir: str | None = None
    time_budget: float | None = None  # seconds
    concurrency: int | None = None
    gpus_per_trial: float | None = None
    cpus_per_trial: int | None = None
    max_failures: int = 2
    address: str | None = None
    name: str | None = None
    resume: bool = False
    runs_dir: Path = Path("runs")
    cache_dir: Path = Path("~/.cache/segvote")
    tracking_uri: str | None = None
    wandb: bool = False  # whether the trials are mirrored to Weights & Biases

    def __post_init__(self) -> None:
        for path in ("runs_dir", "cache_dir"):
            object.__setattr__(self, path, Path(getattr(self, path)).expanduser().resolve())
        for path in ("data", "pseudo", "weights_dir"):
            self._make_absolute(path)
        for file in ("train_json", "val_json"):
            if getattr(self, file) and not (Path(self.data or "") / getattr(self, file)).is_file():
                self._make_absolute(file)
        if self.weights_dir and not Path(self.weights_dir).is_dir():
            raise UserError(
                f"--weights-dir {self.weights_dir} is no directory: give one that holds a file "
                "<timm name>.safetensors for each backbone"
            )
        if self.wandb and importlib.util.find_spec("wandb") is None:
            raise UserError("--wandb needs the package wandb, which is not installed: pip install wandb")
        if not 0 < self.pseudo_weight < float("inf"):
            raise UserError(f"--pseudo-weight is {self.pseudo_weight}, but must be above 0 and finite")

    def _make_absolute(self, name: str) -> None:
        if getattr(self, name) not in (None, "sample"):
            object.__setattr__(self, name, str(Path(getattr(self, name)).expanduser().resolve()))

    @property
    def vote_limits(self) -> dict[str, Any]:
        """Return the limits that the vote of a search keeps to; empty for a refit, whose members are chosen already."""
        return {}

    def lasting(self) -> dict[str, Any]:
        """Return the settings that define the study, as plain values; they are compared when the study is resumed."""
        return {name: _plain(getattr(self, name)) for name in self.made_of}

    def remembered(self) -> dict[str, Any]:
        """Return the settings that a resumed study takes over unless the flag is given again, as plain values."""
        values = {name: getattr(self, name) for name in self.ran_with}
        return values | {"tracking_uri": self.tracking_uri and without_password(self.tracking_uri)}


@dataclass(frozen=True, kw_only=True)
class Settings(StudySettings):
    """The settings of one `segvote search` command. None stands for a default of the space or of the machine."""

    made_of: ClassVar[tuple[str, ...]] = (
        "space", *StudySettings.made_of, "epochs", "image_size", "folds", "holdout_fraction", "seed", "fix", "choices",
        "group_by", "holdout", "folds_by", "folds_file", "edits", "grid", "seeds", "all_folds",
        "pretrained", "init_from", "init_partial", "scheduler", "grace_period", "reduction_factor", "brackets",
        "learn_from",
    )  # fmt: skip
    ran_with: ClassVar[tuple[str, ...]] = ("trials", *StudySettings.ran_with, "all_candidates", "max_members")

    space: str = "quickstart"
    epochs: int | None = None
    image_size: str | None = None
    folds: int = 5
    holdout_fraction: float = 0.2
    holdout: str = "val"  # "val": val.json where there is one; "scenes": whole scenes of all labelled photos
    edits: str | None = None  # a file with corrections of labels, for every trial
    folds_by: str = "sgkf"  # the method that makes the folds
    folds_file: str | None = None  # the fold of each photo, for folds_by "predefined"
    group_by: str | None = None  # a regular expression on file names, whose match names a photo's scene
    seed: int = 0
    fix: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()
    seeds: int = 1  # how many seeds each point of the grid is trained with: `seed`, `seed` + 1, …
    all_folds: bool = False  # whether each point is trained once for every fold that is left out
    pretrained: bool | None = None
    init_from: str | None = None
    init_partial: bool = False
    scheduler: str = "promote"  # what ASHA does at a rung: pause trials to "promote" the best, or "stop" the others
    grace_period: int | None = None
    reduction_factor: float = 3.0
    brackets: int = 1
    learn_from: tuple[str, ...] = ()  # names of studies whose trials tell what to try
    trials: int | None = None
    all_candidates: bool = False
    max_members: int = 15
    dry_run: bool = False

    @property
    def vote_limits(self) -> dict[str, Any]:
        return {"max_members": self.max_members, "include_stopped": self.all_candidates}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._make_absolute("init_from")
        self._make_absolute("folds_file")
        if (self.folds_by == "predefined") != (self.folds_file is not None):
            raise UserError("--folds-by predefined and --folds-file FILE belong together: give both or none")
        if self.space.endswith(".py"):
            self._make_absolute("space")
        self._check_init_from()
        if self.grid and self.learn_from:
            raise UserError("--learn-from helps to draw configurations, but a --grid has none to draw: leave one out")
        if not self.grid and (self.seeds > 1 or self.all_folds):
            flag = "--all-folds" if self.all_folds else f"--seeds {self.seeds}"
            raise UserError(f"{flag} repeats the points of a grid, but there is none: name a factor, as in --grid loss")

    def _check_init_from(self) -> None:
        if self.init_from is None:
            return
        if not Path(self.init_from).is_file():
            raise UserError(f"--init-from {self.init_from} is no file: give the checkpoint of a backbone")
        if self.pretrained is False:
            raise UserError("--init-from and --no-pretrained contradict each other: leave one out")


@dataclass(frozen=True, kw_only=True)
class RefitSettings(StudySettings):
    """The settings of one `segvote refit` command. Without `data`, members use the data set of their own study."""

    made_of: ClassVar[tuple[str, ...]] = ("ensemble", *StudySettings.made_of, "seeds", "keep_holdout")

    ensemble: str | None = None  # not needed to resume a refit
    seeds: int = 1
    keep_holdout: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ensemble and Path(self.ensemble).expanduser().exists():
            self._make_absolute("ensemble")


FLAGS = {
    field.name: "--" + field.name.replace("_", "-")
    for kind in (Settings, RefitSettings)
    for field in dataclasses.fields(kind)
}
Kind = TypeVar("Kind", bound=StudySettings)


def resumed(settings: Kind, given: set[str], stored: dict[str, Any]) -> Kind:
    """Return `settings` with the settings that the study is defined by and ran with.

    A path that is given replaces the stored one: the fingerprint shows whether the same data lie there. Raises
    UserError where one of the flags in `given` contradicts the study.
    """
    defaults = type(settings)()
    # A study that is older than a flag has the flag's default, or what was done before there was a choice.
    stored = defaults.lasting() | defaults.remembered() | {"scheduler": SCHEDULER_BEFORE} | stored
    for name in settings.made_of:
        asked, made = _plain(getattr(settings, name)), stored[name]
        if name in given and name not in settings.places and asked != made:
            raise UserError(
                f"{_typed(name, asked)} does not fit the study, which was started {_with(made)}: "
                "leave the flag out to resume it, or start another study with another --name"
            )
    moved = given & set(settings.places)
    made = {
        name: tuple(stored[name]) if isinstance(stored[name], list) else stored[name]
        for name in settings.made_of
        if name not in moved
    }
    kept = {name: stored[name] for name in settings.ran_with if name not in given}
    if HIDDEN in (kept.get("tracking_uri") or ""):
        raise UserError(f"the password of {kept['tracking_uri']} is not kept: give the whole --tracking-uri again")
    return dataclasses.replace(settings, **made, **kept)


def _typed(name: str, value: Any) -> str:
    """Return a flag as it was typed."""
    if isinstance(value, bool):
        return FLAGS[name] if value else FLAGS[name].replace("--", "--no-", 1)
    return f"{FLAGS[name]} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def _with(value: Any) -> str:
    """Return in words what a study was started with instead of a flag that was typed."""
    if value in (None, []) or isinstance(value, bool):
        return "without it"
    return f"with {' '.join(map(str, value)) if isinstance(value, list) else value}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
