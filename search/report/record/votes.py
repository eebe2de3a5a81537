"""What a vote gets right and wrong, photo by photo: read from the predictions of its members."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ensembling import Predictions, hard_vote, read_predictions
from ensembling.memory_budget import Budget
from ensembling.runs.ensemble import EnsembleRecord
from ensembling.scores import confusion_matrix
from search.study.study import Study
from trainables.data.annotations.masks import IGNORE_INDEX

SHOWN = 4  # photos of each kind
MEMORY = 1 << 30  # bytes of class maps; what exceeds it is in temporary files
# Why a photo is shown, and the share that says how much of it.
REASONS = {
    "The vote differs most from the best single run": "changed",
    "The members disagree most": "disputed",
    "Every member is wrong": "wrong",
}


@dataclass(frozen=True, eq=False)
class PhotoVotes:
    """One holdout photo. Maps are uint8 (H, W) class ids; 255 in `target` is not scored.

    Shares are of the scored pixels: where the vote is another class than the best single run's, where a member differs
    from the vote (the mean over members), and where every member is wrong.
    """

    index: int
    image_id: str
    target: np.ndarray
    single: np.ndarray
    vote: np.ndarray
    changed: float
    disputed: float
    wrong: float


@dataclass(frozen=True, eq=False)
class HoldoutVotes:
    """The vote on the whole holdout: `confusion` int64 (classes, classes), rows are the target's classes.

    `picked` are the photos worth looking at, by why they are, each photo once.
    """

    confusion: np.ndarray
    picked: dict[str, list[PhotoVotes]]


def look_at_votes(study: Study, ensemble: EnsembleRecord) -> HoldoutVotes:
    """Take the vote of the study's own ensemble again, and find the photos that show best what it does.

    Raises OSError or PredictionsError where the predictions of a member, of the best single run or the holdout's masks
    cannot be read.
    """
    budget = Budget(MEMORY)
    target = read_predictions(study.target_file)
    members = [_read(study, member.trial, budget) for member in ensemble.members]
    best = ensemble.candidates[0].trial
    ranks = [member.trial for member in ensemble.members]
    single = members[ranks.index(best)] if best in ranks else _read(study, best, budget)
    weights = [member.votes for member in ensemble.members]
    num_classes = len(target.class_names)
    confusion = np.zeros((num_classes, num_classes), np.int64)
    photos: list[PhotoVotes] = []
    for photo in _photos(target, single, members, weights):
        confusion += confusion_matrix(photo.vote, photo.target, num_classes)
        photos.append(photo)
        photos = _worth_keeping(photos)
    return HoldoutVotes(confusion, _pick(photos))


def _read(study: Study, trial: int, budget: Budget) -> Predictions:
    predictions = read_predictions(study.trial_files(trial).predictions)
    return Predictions(**{**vars(predictions), "pixels": budget.keep(predictions.pixels)})


def _photos(
    target: Predictions, single: Predictions, members: Sequence[Predictions], weights: Sequence[int]
) -> Iterator[PhotoVotes]:
    rows = zip(target.maps(), single.maps(), *(member.maps() for member in members))
    for index, ((image_id, truth), (_, alone), *maps) in enumerate(rows):
        votes = np.stack([class_map for _, class_map in maps])
        vote = hard_vote(votes, len(target.class_names), weights)
        scored = truth != IGNORE_INDEX
        count = max(1, int(scored.sum()))
        changed = (vote != alone) & scored
        disputed = (votes != vote).mean(axis=0)[scored]
        wrong = (votes != truth).all(axis=0) & scored
        shares = (float(found.sum()) / count for found in (changed, disputed, wrong))
        yield PhotoVotes(index, image_id, truth, alone, vote, *shares)


def _worth_keeping(photos: list[PhotoVotes]) -> list[PhotoVotes]:
    """Return the photos that may still be picked: of each kind as many as all kinds together can take."""
    kept = {
        photo.index
        for key in REASONS.values()
        for photo in sorted(photos, key=lambda one: -getattr(one, key))[: len(REASONS) * SHOWN]
    }
    return [photo for photo in photos if photo.index in kept]


def _pick(photos: list[PhotoVotes]) -> dict[str, list[PhotoVotes]]:
    picked: dict[str, list[PhotoVotes]] = {}
    taken: set[int] = set()
    for reason, key in REASONS.items():
        ordered = sorted(photos, key=lambda photo: (-getattr(photo, key), photo.index))
        picked[reason] = [one for one in ordered if one.index not in taken and getattr(one, key) > 0][:SHOWN]
        taken |= {photo.index for photo in picked[reason]}
    return picked
