"""What a prediction scores on photos that have labels after all: a test that neither search nor selection saw."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from ensembling.members import Ensemble
from ensembling.scores import confusion_matrix, iou_per_class, miou
from trainables.data.labels import Labels, read_labels
from trainables.data.unlabelled import Photo
from trainables.errors import UserError
from trainables.trial_files import write_json


class LabelledScores:
    """Counts, photo by photo, the vote and each member against the labels."""

    def __init__(self, labels: Labels, ensemble: Ensemble) -> None:
        self._labels, self._ensemble, self._photos = labels, ensemble, 0
        classes = len(ensemble.class_names)
        self._confusions = np.zeros((1 + len(ensemble.members), classes, classes), np.int64)

    def add(self, photo: Photo, ballots: np.ndarray, winners: np.ndarray) -> None:
        """Class maps uint8 (members, H, W), and their vote (H, W)."""
        target, self._photos = self._labels.mask(photo), self._photos + 1
        for confusion, class_map in zip(self._confusions, [winners, *ballots], strict=True):
            confusion += confusion_matrix(class_map, target, len(confusion))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for scores.json; the IoU of a class in neither is null."""
        vote, *members = self._confusions
        iou = [None if np.isnan(one) else float(one) for one in iou_per_class(vote)]
        return {
            "photos": self._photos,
            "test/miou": float(miou(vote)),
            "iou": dict(zip(self._ensemble.class_names, iou)),
            "members": [
                {"name": member.name, "run_id": member.run_id, "test/miou": float(miou(confusion))}
                for member, confusion in zip(self._ensemble.members, members)
            ],
        }


def scores_of(source: Path, ensemble: Ensemble, console: Console) -> LabelledScores | None:
    """None, and why on screen, where `source` has no labels of the ensemble's classes."""
    try:
        labels = read_labels(source, ensemble.labelled_classes, ensemble.unlabelled)
    except UserError as error:
        console.print(f"{escape(str(error))}: nothing is scored", style="yellow", soft_wrap=True)
        return None
    return LabelledScores(labels, ensemble) if labels else None


def show_scores(scores: LabelledScores, out: Path, console: Console) -> None:
    """Writes scores.json, and says what the vote and its members score beside what was expected of the vote."""
    found = scores.to_dict()
    write_json(out / "scores.json", found)
    members = ", ".join(f"{one['name']} {one['test/miou']:.4f}" for one in found["members"])
    text = f"test      mIoU {found['test/miou']:.4f} on {found['photos']} labelled photos; members {members}"
    console.print(escape(text), soft_wrap=True, highlight=False)
