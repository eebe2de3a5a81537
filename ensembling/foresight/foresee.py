"""What a vote and its runs will score on photos without labels, as far as class maps show it, and how sure that is.

    probit(expected) = probit(holdout) + the sum of WEIGHTS * changes

with the changes as in evidence.py: of agreement, of confidence and of unanimity. The weights, and how wide the interval
must be, were fitted on recorded pools and shifts; `python -m tests.benchmarks foresee` fits them again and prints the
error on pools that had no part in it.
"""

from dataclasses import dataclass

import numpy as np

from ensembling.foresight.agreement_counts import AgreementCounts, LabelledCounts
from ensembling.foresight.evidence import (
    agreement,
    agreement_change,
    confidence_change,
    counts_of,
    expected_confusions,
    from_probit,
    probit,
    unanimity_change,
    unanimity_of_photos,
)
from ensembling.scores import iou_from_counts, miou_from_counts

WEIGHTS = (1.19, 0.77, -0.50)  # of the changes of agreement, confidence and unanimity
WIDTH_UNCHANGED, WIDTH_PER_CHANGE = 0.14, 0.35  # half of the 90 % interval, in probits
COVERAGE = 0.90


@dataclass(frozen=True)
class Foreseen:
    """mIoU of a voter on the holdout, what is expected of it on the new photos, and the 90 % interval of that."""

    holdout: float
    expected: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Foresight:
    """The vote and the runs, in rank order, on photos without labels.

    `changes` are those of the vote's agreement, confidence and unanimity, in probits. `holdout_iou` and
    `expected_iou` are the vote's by class, float64 (classes,), NaN for a class that occurs in neither labels nor vote.
    `shares` are the vote's classes on the holdout and on the photos, float64 (2, classes). `support` is the mean share
    of runs that agree with the vote on each photo, float64 (photos,), and `holdout_support` that on the holdout.
    """

    vote: Foreseen
    runs: tuple[Foreseen, ...]
    changes: tuple[float, float, float]
    holdout_iou: np.ndarray
    expected_iou: np.ndarray
    shares: np.ndarray
    support: np.ndarray
    holdout_support: float

    def losing(self, least: float = 0.05) -> list[int]:
        """Return the classes that are expected to lose `least` IoU or more, those that lose most first."""
        loss = np.nan_to_num(self.holdout_iou - self.expected_iou)
        return [int(index) for index in np.argsort(-loss, kind="stable") if loss[index] >= least]

    def least_like(self, number: int) -> list[int]:
        """Return the indices of the photos on which the runs agree least, the worst first."""
        return np.argsort(self.support, kind="stable")[:number].tolist()


def foresee(holdout: LabelledCounts, photos: AgreementCounts, *, holdout_miou: float | None = None) -> Foresight:
    """Return what is expected on `photos`, seen by the same runs in the same order as the `holdout`.

    `holdout_miou` is the vote's own score where a better one is known than that on the photos that it was selected on:
    the cross-fitted one. The interval says how far off such expectations were on recorded shifts, nothing else.
    """
    scores = miou_from_counts(counts_of(holdout.confusions))
    if holdout_miou is not None:
        scores[-1] = holdout_miou
    changes = changes_of(holdout, photos)
    *runs, vote = (_foreseen(score, change) for score, change in zip(scores, changes @ WEIGHTS))
    holdout_iou, expected_iou = _by_class(holdout, photos)
    return Foresight(
        vote,
        tuple(runs),
        tuple(changes[-1].tolist()),
        holdout_iou,
        expected_iou,
        np.stack([_shares(one) for one in (holdout.counts, photos)]),
        unanimity_of_photos(photos),
        float(np.average(unanimity_of_photos(holdout.counts), weights=holdout.counts.of_photos.sum(axis=(1, 2)))),
    )


def changes_of(holdout: LabelledCounts, photos: AgreementCounts) -> np.ndarray:
    """Return what changed of agreement, confidence and unanimity, in probits: float64 (voters, 3)."""
    return np.stack(
        [
            agreement_change(holdout.counts, photos),
            confidence_change(holdout, photos),
            unanimity_change(holdout.counts, photos),
        ],
        axis=1,
    )


def _foreseen(score: float, change: float) -> Foreseen:
    middle, half = probit(score) + change, WIDTH_UNCHANGED + WIDTH_PER_CHANGE * abs(change)
    expected, low, high = from_probit([middle, middle - half, middle + half])
    return Foreseen(float(score), float(expected), float(low), float(high))


def _by_class(holdout: LabelledCounts, photos: AgreementCounts) -> tuple[np.ndarray, np.ndarray]:
    """Return the vote's IoU of each class on the holdout, and as it is expected on the photos by the rule of mIoU."""
    known = iou_from_counts(counts_of(holdout.confusions[-1]))
    before, after = (
        probit(np.nan_to_num(iou_from_counts(counts_of(expected_confusions(holdout, one)[-1]))))
        for one in (holdout.counts, photos)
    )
    together = [probit(np.nan_to_num(agreement(one)[-1, :-1])) for one in (holdout.counts, photos)]
    unanimity = unanimity_change(holdout.counts, photos)[-1]
    change = np.stack([(together[1] - together[0]).mean(axis=0), after - before, np.full_like(after, unanimity)])
    occurs = photos.support[-1].sum(axis=1) > 0
    return known, np.where(
        np.isnan(known) | ~occurs, np.nan, from_probit(probit(np.nan_to_num(known)) + WEIGHTS @ change)
    )


def _shares(counts: AgreementCounts) -> np.ndarray:
    of_classes = counts.support[-1].sum(axis=1)
    return of_classes / max(1, of_classes.sum())
