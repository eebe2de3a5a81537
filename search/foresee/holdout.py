"""The holdout as an ensemble's members saw it: their class maps of it, and its labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mlflow.tracking import MlflowClient

from ensembling import Predictions, PredictionsError, check_same_holdout, hard_vote, read_predictions
from ensembling.assessment.top_k import ImageRuns, growing_counts
from ensembling.foresight.sight import LabelledSight, Looking
from ensembling.memory import Budget
from ensembling.runs.candidates import load_predictions
from ensembling.runs.members import Ensemble, Member
from ensembling.vote import ABSTAIN
from trainables.errors import UserError
from trainables.inference.tta import TestTimeAugmentation
from trainables.trial.files import TrialFiles

IN_MEMORY = 4 << 30  # bytes of class maps; those beyond are in temporary files


@dataclass(frozen=True, eq=False)
class SeenHoldout:
    """The labels `target`, and the members' class maps of them in rank order, uint8 (pixels,) each."""

    ensemble: Ensemble
    target: Predictions
    maps: list[np.ndarray]

    def look(self, progress: Callable[[int], None] = lambda done: None) -> LabelledSight:
        """Return the counts of what the members and their vote say; `progress` hears how many photos are done."""
        classes, start = len(self.ensemble.class_names), 0
        looking = Looking(len(self.maps), classes, labelled=True)
        for done, (_, labels) in enumerate(self.target.maps(), start=1):
            pixels = slice(start, start + labels.size)
            ballots = np.stack([maps[pixels].reshape(labels.shape) for maps in self.maps])
            looking.add(ballots, hard_vote(ballots, classes, self.ensemble.votes), labels)
            start += labels.size
            progress(done)
        return looking.labelled_sight()

    def counts_by_group(self) -> tuple[np.ndarray, float]:
        """Return the counts of the vote and of the best member by group of photos, and the photos in a group.

        Counts are int64 (2, groups, 3, classes), as in ensembling/scores.py; the photos are the mean.
        """
        groups = ImageRuns.of(self.target.group_of_pixels())
        rows, classes = [*self.maps], len(self.ensemble.class_names)
        _, counts = growing_counts(
            rows, self.target.pixels, classes, groups, [len(rows) - 1, 0], weights=self.ensemble.votes
        )
        return counts, len(self.target.image_ids) / groups.num_images


def see_holdout(
    ensemble: Ensemble, views: TestTimeAugmentation, connect: Callable[[], MlflowClient] | None
) -> SeenHoldout:
    """Return the holdout as the members saw it with `views`, from their trials' files or else from MLflow.

    Without `connect` MLflow is not asked. Raises UserError where a member's class maps or the labels are not there, or
    are of different holdouts.
    """
    budget = Budget(IN_MEMORY)
    target = _target(ensemble)
    maps = []
    try:
        for member in ensemble.members:
            own = _predictions(member, views, connect)
            check_same_holdout(target, own, first_name="the holdout", second_name=f"member {member.name}")
            maps.append(budget.keep(own.pixels))
    except PredictionsError as error:
        raise UserError(f"the holdout as the members saw it cannot be used: {error}") from error
    return SeenHoldout(ensemble, target, maps)


def _target(ensemble: Ensemble) -> Predictions:
    """Its masks, from the study of the first member whose study has them."""
    looked = [_study_of(member) / "holdout.target" for member in ensemble.members]
    for path in looked:
        if path.exists():
            try:
                target = read_predictions(path)
            except PredictionsError as error:
                raise UserError(str(error)) from error
            if (target.pixels != ABSTAIN).any():
                return target
    raise UserError(
        f"the holdout's labels are not there ({looked[0]}): an ensemble that was exported, or trained again on all "
        "photos, has none; name the one that was selected, in the runs directory of its studies"
    )


def _study_of(member: Member) -> Path:
    return member.weights.parents[2]


def _predictions(
    member: Member, views: TestTimeAugmentation, connect: Callable[[], MlflowClient] | None
) -> Predictions:
    files = TrialFiles(member.weights.parent)
    if not views.plain:
        kept = files.predictions_with(f"{views.to_dict()} {member.weights_sha256}")
        if kept.exists():
            return read_predictions(kept)
        raise UserError(
            f"member {member.name} has not predicted the holdout with {views}: leave --tta and --window out, or select "
            "with them first (segvote ensemble --tta …)"
        )
    if files.predictions.exists():
        return read_predictions(files.predictions)
    try:
        if connect is not None:
            return load_predictions(connect(), member.run_id)
    except FileNotFoundError as error:
        raise UserError(f"member {member.name} has no class maps of the holdout in MLflow either: {error}") from error
    raise UserError(f"member {member.name} has no class maps of the holdout: there is no {files.predictions}")
