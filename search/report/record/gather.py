"""All that a report shows of one study, gathered from its files, from MLflow and from the studies beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ensembling import PredictionsError
from search.report.record.importance import Importance, importances
from search.report.record.leaderboard import StudyScores, Submission, read_submissions, rises
from search.report.record.pairs import Comparison, compare_pairs
from search.report.record.registered import Registered, read_registered
from search.report.record.spent import Spent, what_was_spent
from search.report.record.study_record import StudyRecord, read_study_record
from search.report.record.votes import HoldoutVotes, look_at_votes
from search.study.study import Study, study_in
from trainables.config import parse_size
from trainables.errors import UserError
from trainables.trial.study_files import MANIFEST


@dataclass(frozen=True, eq=False)
class Report:
    """`votes` is None before there is an ensemble. `photos` are uint8 (H, W, 3) by their index in the holdout.

    `lacks` says in sentences what could not be read, so that a missing part of the report is explained.
    """

    study: StudyRecord
    registered: Registered
    spent: Spent
    importances: list[Importance]
    comparisons: list[Comparison]
    votes: HoldoutVotes | None
    photos: dict[int, np.ndarray]
    boards: list[StudyScores]
    submissions: list[Submission]
    lacks: list[str] = field(default_factory=list)


def gather(study: Study, connect: Callable[[], tuple[MlflowClient, str]], scores: Path | None = None) -> Report:
    """Read everything. `connect` returns MLflow's client and the id of the experiment; without MLflow there are no ids.

    Raises UserError where the study's own files or `scores` cannot be read.
    """
    submissions = read_submissions(scores) if scores else []
    lacks: list[str] = []
    record = read_study_record(study)
    registered = _registered(study, connect, lacks)
    votes = _votes(study, record, lacks)
    return Report(
        study=record,
        registered=registered,
        spent=what_was_spent(record, registered.gpus_per_trial),
        importances=importances(record),
        comparisons=compare_pairs(record),
        votes=votes,
        photos=_photos(study, record, votes, lacks),
        boards=[rises(record), *_other_studies(study, record, lacks)],
        submissions=submissions,
        lacks=lacks,
    )


def _registered(study: Study, connect: Callable[[], tuple[MlflowClient, str]], lacks: list[str]) -> Registered:
    try:
        return read_registered(*connect(), study.id)
    except (MlflowException, UserError) as error:
        lacks.append(f"MLflow was not read ({str(error).splitlines()[0]}): ids of runs and GPU hours are missing.")
        return Registered()


def _votes(study: Study, record: StudyRecord, lacks: list[str]) -> HoldoutVotes | None:
    if record.ensemble is None:
        return None
    try:
        return look_at_votes(study, record.ensemble)
    except (OSError, PredictionsError) as error:
        lacks.append(f"The vote could not be taken again ({error}): its confusion and its pictures are missing.")
        return None


def _photos(study: Study, record: StudyRecord, votes: HoldoutVotes | None, lacks: list[str]) -> dict[int, np.ndarray]:
    """Return the photos that are shown, at the best trial's size, which this machine has decoded."""
    if votes is None or record.best is None:
        return {}
    try:
        packed = study.data.open(parse_size(record.best.params["image_size"]))
    except UserError as error:
        lacks.append(f"The photos are not on this machine ({error}): pictures show class maps alone.")
        return {}
    rows = study.data.splits.holdout
    indices = {photo.index for photos in votes.picked.values() for photo in photos}
    return {index: np.array(packed.images[rows[index]]) for index in sorted(indices)}


def _other_studies(study: Study, record: StudyRecord, lacks: list[str]) -> list[StudyScores]:
    """Return the studies in the same runs directory whose scores are on the same photos."""
    others = []
    for manifest in sorted(study.directory.parent.glob(f"*/{MANIFEST}")):
        if manifest.parent == study.directory:
            continue
        try:
            found = study_in(manifest.parent, study.data.cache_dir)
            if found.holdout_fingerprint == record.holdout_fingerprint and found.data.scored:
                others.append(rises(read_study_record(found)))
        except UserError as error:
            lacks.append(f"The study in {manifest.parent} is left out ({error}).")
    return [other for other in others if other.rises]
