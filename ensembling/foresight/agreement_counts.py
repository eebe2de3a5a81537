"""How often the runs of a pool agree on photos without labels, and with labels how often they are right, as counts.

Voters are the pool's runs, in rank order, and after them their vote. Counts are all that is kept of the maps, so that
any number of photos takes the memory of one.
"""

from dataclasses import dataclass

import numpy as np

from ensembling.kernels import compiled
from ensembling.vote import ABSTAIN


@dataclass(frozen=True, eq=False)
class AgreementCounts:
    """Counts of pixels, summed over photos, int64.

    `together` (voters, voters, classes): how often two voters predict the class both; on the diagonal, how often one
    does. `support` (voters, classes, runs + 1): how often a voter predicts the class while so many runs do. `of_photos`
    (photos, classes, runs + 1) is the vote's support photo by photo.
    """

    together: np.ndarray
    support: np.ndarray
    of_photos: np.ndarray

    @property
    def num_classes(self) -> int:
        return self.together.shape[2]


@dataclass(frozen=True, eq=False)
class LabelledCounts:
    """The counts of labelled photos, with `truth`: `support` by the label, int64 (voters, classes, runs + 1, classes).

    `hits` int64 (photos, 3, classes) are the vote's counts photo by photo, as in ensembling/scores.py. Pixels whose
    label is ignored count in neither of these, nor in `counts`.
    """

    counts: AgreementCounts
    truth: np.ndarray
    hits: np.ndarray

    @property
    def confusions(self) -> np.ndarray:
        """Return the confusion matrix of each voter, labels in rows: int64 (voters, classes, classes)."""
        return self.truth.sum(axis=2).swapaxes(1, 2)


class AgreementCounter:
    """Counts one photo after another; `counts` and `labelled_counts` return the sums so far."""

    def __init__(self, runs: int, num_classes: int, *, labelled: bool = False) -> None:
        voters = runs + 1
        self._labelled = labelled
        self._together = np.zeros((voters, voters, num_classes), np.int64)
        self._truth = np.zeros((voters, num_classes, runs + 1, num_classes if labelled else 1), np.int64)
        self._of_photos: list[np.ndarray] = []
        self._hits: list[np.ndarray] = []

    def add(self, maps: np.ndarray, winners: np.ndarray, target: np.ndarray | None = None) -> None:
        """Count a photo: class maps uint8 (runs, H, W) in rank order, their vote (H, W), and labels where it has any.

        Labels of 255 are ignored.
        """
        before = self._truth[-1].copy()
        voters = np.concatenate([maps, winners[None]]).reshape(len(maps) + 1, -1)
        labels = np.zeros(voters.shape[1], np.uint8) if target is None else np.ascontiguousarray(target).reshape(-1)
        _count(voters, labels, self._together, self._truth, np.zeros(self._together.shape[2], np.int64))
        own = self._truth[-1] - before  # (classes, runs + 1, labels)
        self._of_photos.append(own.sum(axis=2))
        if self._labelled:
            confusion = own.sum(axis=1).T
            self._hits.append(np.stack([np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1)]))

    def counts(self) -> AgreementCounts:
        """Return the counts of the photos so far, without their labels."""
        return AgreementCounts(self._together, self._truth.sum(axis=3), np.stack(self._of_photos))

    def labelled_counts(self) -> LabelledCounts:
        """Return the same, with their labels."""
        return LabelledCounts(self.counts(), self._truth, np.stack(self._hits))


@compiled
def _count(voters, labels, together, truth, holders):  # pragma: no cover - compiled
    number = voters.shape[0]
    for pixel in range(voters.shape[1]):
        label = labels[pixel]
        if label == ABSTAIN:
            continue
        for run in range(number - 1):
            if voters[run, pixel] != ABSTAIN:
                holders[voters[run, pixel]] += 1
        for one in range(number):
            class_id = voters[one, pixel]
            if class_id == ABSTAIN:
                continue
            truth[one, class_id, holders[class_id], label] += 1
            for other in range(one, number):
                if voters[other, pixel] == class_id:
                    together[one, other, class_id] += 1
        for run in range(number - 1):
            if voters[run, pixel] != ABSTAIN:
                holders[voters[run, pixel]] = 0
