"""study.json: what defines a study, checked for completeness and types when it is read."""

import dataclasses
from pathlib import Path
from typing import Any, NotRequired, Required

from typing_extensions import TypedDict

from search.study.settings import RefitSettings, Settings, StudySettings
from trainables.errors import UserError
from trainables.files import check_shape, read_checked
from trainables.trial.study_files import MANIFEST

FORMAT_VERSION = 2


class DataOfStudy(TypedDict):
    """The data set, recognised by its fingerprint; `root` is the directory it was in when the study was started."""

    root: str
    relative_root: NotRequired[str]
    fingerprint: str
    holdout_fingerprint: NotRequired[str]
    holdout_edits: NotRequired[str]
    class_names: list[str]
    class_id_of: NotRequired[dict[str, int]]


class SplitsOfStudy(TypedDict):
    """Rows of the data set, as Splits.to_dict writes them."""

    holdout: list[int]
    folds: list[list[int]]
    test: list[int]
    seed: int
    holdout_groups: NotRequired[list[int]]


class PseudoOfStudy(TypedDict):
    """The photos with pseudo-labels, as PseudoData.to_dict writes them."""

    root: str
    fingerprint: str
    rows: list[int]
    weight: float


class Manifest(TypedDict):
    """The content of study.json."""

    format_version: int
    id: str
    name: NotRequired[str]  # the first name of the study, whose directory may be renamed later
    settings: dict[str, Any]
    data: DataOfStudy
    splits: SplitsOfStudy
    pseudo: NotRequired[PseudoOfStudy | None]
    refit: NotRequired[dict[str, Any] | None]
    learnt: NotRequired[list[dict[str, Any]]]  # of other studies, as search/tuning/searchers/other_studies.py has it
    code_version: str
    created: NotRequired[str]


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the content of study.json.

    Raises UserError where another version of SegVote wrote it, and DamagedFileError where its content is damaged.
    """
    path = directory / MANIFEST
    remedy = "restore it from a backup, or from the artifacts of the study's run in MLflow"
    manifest = read_checked(path, dict[str, Any], remedy=remedy)
    found = manifest.get("format_version")
    if isinstance(found, int) and found != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {found}, but this version of SegVote reads {FORMAT_VERSION}: "
            "resume the study with the version that started it"
        )
    check_shape(manifest, Manifest, path, remedy=remedy)
    kind = RefitSettings if manifest.get("refit") else Settings
    check_shape(manifest["settings"], _stored(kind), path, remedy=remedy)
    return manifest


def _stored(kind: type[StudySettings]) -> Any:
    """Return the type of a study's settings as JSON keeps them; a study that is older than a setting lacks it."""
    types = {field.name: field.type for field in dataclasses.fields(kind)}
    lists = {name: list[str] for name, its_type in types.items() if its_type == tuple[str, ...]}
    kept = {name: (types | lists)[name] for name in (*kind.made_of, *kind.ran_with)}
    return TypedDict("Stored", kept | {"unlabelled": Required[str]}, total=False)
