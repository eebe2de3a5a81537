"""ensemble.json: the members of an ensemble, their order and the scores of their vote.

The file holds enough to take the same vote again.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ensembling.assessment.bootstrap import Interval
from trainables.data.scenes import Overlap
from trainables.errors import DamagedFileError, UserError
from trainables.files import read_json, write_text

FORMAT_VERSION = 2
TIE_RULE = "the class with most votes; among tied classes, the one that the best-ranked member predicts among them"
REMEDY = "restore it, or select again with segvote ensemble"
OPTIONAL = {"optional": True}
"""Of a field that is left out of the file where it is None; another that is None is written as null."""


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """A run that could have voted. `miou` is its score on the holdout, None where nothing was left to score it on."""

    run_id: str
    name: str
    study: str
    trial: int
    miou: float | None = None


@dataclass(frozen=True, kw_only=True)
class RefitOf:
    """What was trained again: the ensemble by its name in `ensemble`, or one member of it by its name in `name`."""

    run_id: str | None
    ensemble: str | None = field(default=None, metadata=OPTIONAL)
    name: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class ListedMember(ListedRun):
    """A run that votes. The scores are in units of mIoU."""

    rank: int | None = field(default=None, metadata=OPTIONAL)
    votes: int = 1
    leave_one_out: float | None = None
    """How much less the vote scores without it; None where it votes alone, or nothing was scored."""
    shapley: float | None = field(default=None, metadata=OPTIONAL)
    shapley_error: float | None = field(default=None, metadata=OPTIONAL)
    params: dict[str, str] = field(default_factory=dict)
    study_id: str | None = field(default=None, metadata=OPTIONAL)
    weights_sha256: str | None = field(default=None, metadata=OPTIONAL)
    refit_of: RefitOf | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """In how many photos and scenes of the holdout a class is, and its share of the variance of the mIoU."""

    name: str
    photos: int
    scenes: int
    iou: float | None
    error_share: float


@dataclass(frozen=True, kw_only=True)
class WithoutRare:
    """What the vote scores, and gains, on all classes but those that few photos of the holdout have: `classes`."""

    classes: tuple[str, ...]
    miou_interval: Interval
    gains: dict[str, Interval] | None


@dataclass(frozen=True, kw_only=True)
class CrossfitFold:
    """The images of a fold, and the run ids that vote on them, chosen and ranked on the other folds."""

    images: tuple[str, ...]
    members: tuple[str, ...]
    votes: tuple[int, ...]
    ranking: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EffectOfViews:
    """The mIoU of a member, or of their vote, with one view of each photo and with all."""

    name: str
    one_view: float
    all_views: float


@dataclass(frozen=True, kw_only=True)
class PoolDiversity:
    """On which share of the pixels two candidates of a kind differ, on average."""

    candidates: int
    disagreement: float


@dataclass(frozen=True, kw_only=True)
class EnsembleRecord:
    """What ensemble.json says. Only the members and the class names are in every file.

    A refit has no figures of a selection. The matrices `disagreement`, `kappa` and `double_fault` are (members,
    members) in rank order; `path` holds run ids in the order in which the selection took them.
    """

    class_names: tuple[str, ...]
    members: tuple[ListedMember, ...]
    format_version: int = FORMAT_VERSION
    category_ids: dict[str, int] | None = field(default=None, metadata=OPTIONAL)
    unlabelled: Literal["background", "ignore"] | None = field(default=None, metadata=OPTIONAL)
    scenes: Overlap | None = None
    tie_rule: str | None = None
    views: dict[str, Any] | None = None

    holdout_fingerprint: str | None = None
    holdout_edits: str | None = field(default=None, metadata=OPTIONAL)
    holdout_images: int | None = field(default=None, metadata=OPTIONAL)
    holdout_groups: int | None = field(default=None, metadata=OPTIONAL)

    miou: float | None = None
    crossfit_miou: float | None = None
    optimism: float | None = field(default=None, metadata=OPTIONAL)
    miou_interval: Interval | None = field(default=None, metadata=OPTIONAL)
    best_single_interval: Interval | None = field(default=None, metadata=OPTIONAL)
    crossfit_interval: Interval | None = None
    gains: dict[str, Interval] | None = None
    crossfit_gains: dict[str, Interval] | None = None
    iou: dict[str, float | None] | None = field(default=None, metadata=OPTIONAL)
    classes: tuple[ClassFigures, ...] | None = field(default=None, metadata=OPTIONAL)
    rare_photos: int | None = field(default=None, metadata=OPTIONAL)
    without_rare: WithoutRare | None = None
    baselines: dict[str, float] | None = field(default=None, metadata=OPTIONAL)
    baseline_sizes: dict[str, int] | None = field(default=None, metadata=OPTIONAL)
    topk_miou: tuple[float, ...] | None = field(default=None, metadata=OPTIONAL)
    candidates: tuple[ListedRun, ...] | None = field(default=None, metadata=OPTIONAL)
    path: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    path_miou: tuple[float, ...] | None = field(default=None, metadata=OPTIONAL)
    crossfit_folds: tuple[CrossfitFold, ...] | None = field(default=None, metadata=OPTIONAL)
    disagreement: tuple[tuple[float, ...], ...] | None = field(default=None, metadata=OPTIONAL)
    kappa: tuple[tuple[float, ...], ...] | None = field(default=None, metadata=OPTIONAL)
    double_fault: tuple[tuple[float, ...], ...] | None = field(default=None, metadata=OPTIONAL)
    effect_of_views: tuple[EffectOfViews, ...] | None = field(default=None, metadata=OPTIONAL)
    pool_diversity: dict[str, PoolDiversity] | None = None

    studies: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    min_miou: float | None = None
    all_candidates: bool | None = field(default=None, metadata=OPTIONAL)
    mixed_edits: bool | None = field(default=None, metadata=OPTIONAL)
    mode: str | None = field(default=None, metadata=OPTIONAL)
    max_members: int | None = field(default=None, metadata=OPTIONAL)
    must_include: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    start: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    beam_width: int | None = field(default=None, metadata=OPTIONAL)
    shortlist: int | None = None
    seed: int | None = field(default=None, metadata=OPTIONAL)
    tta: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    window: bool | None = field(default=None, metadata=OPTIONAL)
    overlap: float | None = field(default=None, metadata=OPTIONAL)
    left_out: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    """A sentence about each run that would be a candidate if MLflow still had its predictions."""
    command: str | None = field(default=None, metadata=OPTIONAL)
    """What to type for the same ensemble."""

    refit_of: RefitOf | None = field(default=None, metadata=OPTIONAL)
    expectation: str | None = field(default=None, metadata=OPTIONAL)
    """What the vote of a refit should score on new images, in words."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return _plain(self)

    @classmethod
    def from_json(cls, text: str) -> "EnsembleRecord":
        """Return what the text of a file says; keys that this version does not know are passed over.

        Raises pydantic's ValidationError, a ValueError, where a key is missing or has a value of another type.
        """
        return _adapter().validate_json(text, strict=True)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = [(one, getattr(value, one.name)) for one in dataclasses.fields(value)]
        return {one.name: _plain(its) for one, its in fields if its is not None or not one.metadata.get("optional")}
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter  # a tenth of a second of imports

    return TypeAdapter(EnsembleRecord)


def read_ensemble(path: Path) -> EnsembleRecord:
    """Return what an ensemble.json says.

    Raises DamagedFileError, with the file and the key, where it cannot be read or has a value of another type, and
    UserError where a later version of SegVote wrote it.
    """
    from pydantic import ValidationError

    try:
        value = read_json(path)
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): {REMEDY}") from error
    if isinstance(value, dict):
        _check_version(value.get("format_version"), path)
    try:
        return EnsembleRecord.from_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "its content"
        raise DamagedFileError(f"{path} is damaged ({where}: {first['msg']}): {REMEDY}") from error


def _check_version(version: Any, path: Path) -> None:
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}, and this SegVote reads versions up to {FORMAT_VERSION}: update "
            "SegVote to the version that wrote it, or select again with segvote ensemble"
        )


def save_ensemble(path: Path, ensemble: EnsembleRecord) -> None:
    """Write ensemble.json, whole or not at all."""
    write_text(path, json.dumps(ensemble.to_json(), indent=1, allow_nan=False) + "\n")
