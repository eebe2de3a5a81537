"""Three kinds of evidence for what voters score on photos without labels, all from counts alone.

Agreement: where classifiers agree less, they are right less, and in probits about as much so (Baek et al.,
"Agreement-on-the-Line: Predicting the Performance of Neural Networks under Distribution Shift", NeurIPS 2022). Here
agreement is the mIoU of one voter with the other as target, so that it changes with what changes mIoU.

Confidence: the more runs predict a class, the likelier it is the label, as counted on the holdout. Garg
et al. ("Leveraging Unlabeled Data to Predict Out-of-Distribution Performance", ICLR 2022) threshold the confidence of a
network; a table by class and support keeps the confusions, hence gives IoU.

Unanimity: the share of runs that predict what a voter predicts, over pixels. Beside the other two, which weigh all
classes alike, it tells whether what changed are many pixels of large classes, which change mIoU less.
"""

from statistics import NormalDist

import numpy as np

from ensembling.foresight.agreement_counts import AgreementCounts, LabelledCounts
from ensembling.scores import iou_from_counts, miou_from_counts

PRIOR_PIXELS = 20.0  # pixels, shared out as in all other cells of its class, that are added to a cell of the table
NEAREST = 0.003  # to 0 and 1: beyond, probits are of a few pixels
_NORMAL = NormalDist()
probit = np.vectorize(lambda share: _NORMAL.inv_cdf(min(max(share, NEAREST), 1 - NEAREST)), otypes=[float])
from_probit = np.vectorize(_NORMAL.cdf, otypes=[float])


def agreement(counts: AgreementCounts) -> np.ndarray:
    """Return the IoU of each class between each two voters, one taken as target: float64 (voters, voters, classes).

    NaN where neither predicts the class.
    """
    hits = np.maximum(counts.together, counts.together.swapaxes(0, 1))
    own = np.diagonal(counts.together).T
    first, second = (np.broadcast_to(one, hits.shape) for one in (own[:, None], own[None]))
    return iou_from_counts(np.stack([hits, first, second], axis=-2))


def agreement_change(holdout: AgreementCounts, photos: AgreementCounts) -> np.ndarray:
    """Return how much each voter's agreement with the runs changed, in probits of mIoU: float64 (voters,).

    That of a run is the mean over all other runs, that of the vote over all runs. Zero where there is no other run.
    """
    before, after = (probit(np.nan_to_num(_mean(agreement(one)))) for one in (holdout, photos))
    change = (after - before)[:, :-1]
    others = ~np.eye(*change.shape, dtype=bool)
    return np.where(others, change, 0).sum(axis=1) / np.maximum(others.sum(axis=1), 1)


def expected_confusions(holdout: LabelledCounts, photos: AgreementCounts) -> np.ndarray:
    """Return pixels by label and prediction, as far as they are to be expected: float64 (voters, classes, classes).

    A pixel's label is taken to be what it was on the holdout's pixels of the same predicted class and support.
    """
    truth = holdout.truth.astype(float)
    of_class = truth.sum(axis=2, keepdims=True) + 1e-9
    prior = of_class / of_class.sum(axis=-1, keepdims=True)
    likely = (truth + PRIOR_PIXELS * prior) / (truth.sum(axis=-1, keepdims=True) + PRIOR_PIXELS)
    return np.einsum("vcs,vcsl->vlc", photos.support.astype(float), likely)


def counts_of(confusions: np.ndarray) -> np.ndarray:
    """Return what IoU needs of confusion matrices (..., classes, classes), as ensembling/scores.py has it of one."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    return np.stack([hits, confusions.sum(axis=-2), confusions.sum(axis=-1)], axis=-2)


def confidence_change(holdout: LabelledCounts, photos: AgreementCounts) -> np.ndarray:
    """Return how much each voter's expected mIoU differs from the one that is expected on the holdout, in probits."""
    before, after = (
        probit(miou_from_counts(counts_of(expected_confusions(holdout, one)))) for one in (holdout.counts, photos)
    )
    return after - before


def unanimity_change(holdout: AgreementCounts, photos: AgreementCounts) -> np.ndarray:
    """Return how much the mean share of runs that say what a voter says changed, in probits: float64 (voters,)."""
    before, after = (probit(_mean_share(one.support.sum(axis=1))) for one in (holdout, photos))
    return after - before


def unanimity_of_photos(counts: AgreementCounts) -> np.ndarray:
    """Return the mean share of runs that say what the vote says, photo by photo: float64 (photos,)."""
    return _mean_share(counts.of_photos.sum(axis=1))


def _mean_share(by_support: np.ndarray) -> np.ndarray:
    runs = by_support.shape[-1] - 1
    return by_support @ (np.arange(runs + 1) / runs) / np.maximum(by_support.sum(axis=-1), 1)


def _mean(iou: np.ndarray) -> np.ndarray:
    occurs = ~np.isnan(iou)
    return np.where(occurs, iou, 0).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)
