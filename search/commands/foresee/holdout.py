"""The holdout as a pool saw it, an ensemble's members and other runs: their class maps of it, and its labels."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mlflow.tracking import MlflowClient

from ensembling import Predictions, PredictionsError, check_same_holdout, hard_vote, read_predictions
from ensembling.assessment.top_k import ImageRuns, growing_counts
from ensembling.foresight.agreement_counts import AgreementCounter, LabelledCounts
from ensembling.memory_budget import Budget
from ensembling.runs.candidates import load_predictions
from ensembling.runs.ensemble import ListedMember
from ensembling.runs.members import Ensemble, Member, find_member
from ensembling.vote import ABSTAIN
from trainables.errors import UserError
from trainables.inference.tta import TestTimeAugmentation
from trainables.trial.files import TrialFiles

LEAST_SCORE = 0.6  # of the best candidate's mIoU
IN_MEMORY = 4 << 30  # bytes of class maps; those beyond are in temporary files


@dataclass(frozen=True, eq=False)
class SeenHoldout:
    """The labels `target`, and the class maps of the pool's runs, uint8 (pixels,) each.

    `pool` are the ensemble's members in rank order, of which there are `voting`, and the other runs after them.
    """

    pool: Ensemble
    voting: int
    target: Predictions
    maps: list[np.ndarray]

    def vote(self, maps: np.ndarray) -> np.ndarray:
        """Return the members' vote uint8 (H, W) of the pool's class maps uint8 (runs, H, W)."""
        return hard_vote(maps[: self.voting], len(self.pool.class_names), self.pool.votes[: self.voting])

    def look(self, progress: Callable[[int], None] = lambda done: None) -> LabelledCounts:
        """Return the counts of what the runs and the vote say; `progress` is called with the number of photos done."""
        classes, start = len(self.pool.class_names), 0
        counter = AgreementCounter(len(self.maps), classes, labelled=True)
        for done, (_, labels) in enumerate(self.target.maps(), start=1):
            pixels = slice(start, start + labels.size)
            ballots = np.stack([maps[pixels].reshape(labels.shape) for maps in self.maps])
            counter.add(ballots, self.vote(ballots), labels)
            start += labels.size
            progress(done)
        return counter.labelled_counts()

    def counts_by_group(self) -> tuple[np.ndarray, float]:
        """Return the counts of the vote and of the best member by group of photos, and the photos in a group.

        Counts are int64 (2, groups, 3, classes), as in ensembling/scores.py; the photos are the mean.
        """
        groups = ImageRuns.of(self.target.group_of_pixels())
        rows, classes, weights = self.maps[: self.voting], len(self.pool.class_names), self.pool.votes[: self.voting]
        _, counts = growing_counts(rows, self.target.pixels, classes, groups, [len(rows) - 1, 0], weights=weights)
        return counts, len(self.target.image_ids) / groups.num_images


def see_holdout(
    ensemble: Ensemble,
    views: TestTimeAugmentation,
    connect: Callable[[], MlflowClient] | None,
    others: Sequence[Member] = (),
) -> SeenHoldout:
    """Return the class maps of the holdout by a pool of runs, and its labels.

    Args:
        ensemble: The ensemble, whose members are the first of the pool.
        views: The views with which the members must have predicted the holdout.
        connect: Returns MLflow's client, for class maps that are not in the trials' files; None asks no store.
        others: Further runs, which join the pool where their class maps exist.

    Raises:
        UserError: A member's class maps or the labels are missing, or are of different holdouts.
    """
    budget, target = Budget(IN_MEMORY), _target(ensemble)

    def maps_of(member: Member) -> np.ndarray:
        own = _predictions(member, views, connect)
        check_same_holdout(target, own, first_name="the holdout", second_name=f"run {member.name}")
        return budget.keep(own.pixels)

    try:
        maps, joined = [maps_of(member) for member in ensemble.members], []
    except PredictionsError as error:
        raise UserError(f"the holdout as the members saw it cannot be used: {error}") from error
    for other in others:
        with suppress(UserError, PredictionsError):
            maps.append(maps_of(other))
            joined.append(other)
    pool = dataclasses.replace(ensemble, members=(*ensemble.members, *joined))
    return SeenHoldout(pool, len(ensemble.members), target, maps)


def other_runs(ensemble: Ensemble, reference: Path, runs_dir: Path, number: int) -> list[Member]:
    """Return the best candidates that are no members and whose weights exist.

    Runs far below the best one are left out, since what they say of the others is mostly chance.

    Args:
        ensemble: The ensemble, whose ensemble.json lists the candidates.
        reference: Where that file is; the weights are looked for beside and below it.
        runs_dir: The runs directory.
        number: The most candidates to return.
    """
    candidates = ensemble.description.candidates or ()
    known = {member.run_id for member in ensemble.members}
    found: list[Member] = []
    for listed in candidates:
        if len(found) == number or listed.miou < LEAST_SCORE * candidates[0].miou:
            break
        if listed.run_id not in known:
            with suppress(UserError):
                one = ListedMember(**vars(listed))
                found.append(find_member(one, len(known) + len(found) + 1, reference, runs_dir))
    return found


def _target(ensemble: Ensemble) -> Predictions:
    """Return the holdout's masks, from the study of the first member whose study has them."""
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
