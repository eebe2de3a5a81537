"""What a prediction scores on photos that have labels: at best a test that neither search nor selection saw."""

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
from trainables.trial_files import read_json, write_json


class LabelledScores:
    """Counts, photo by photo, the vote and each member against the labels."""

    def __init__(self, labels: Labels, ensemble: Ensemble, *, seen: bool) -> None:
        """`seen` photos are those that members were trained or selected on."""
        self._labels, self._ensemble, self._photos, self.seen = labels, ensemble, 0, seen
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
        key = "seen/miou" if self.seen else "test/miou"
        iou = [None if np.isnan(one) else float(one) for one in iou_per_class(vote)]
        return {
            "photos": self._photos,
            key: float(miou(vote)),
            "iou": dict(zip(self._ensemble.class_names, iou)),
            "members": [
                {"name": member.name, "run_id": member.run_id, key: float(miou(confusion))}
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
    return LabelledScores(labels, ensemble, seen=_were_seen(source, ensemble)) if labels else None


def _were_seen(source: Path, ensemble: Ensemble) -> bool:
    """Whether `source` is train.json or val.json of the data that a member's study was on, as far as that is known."""
    for member in ensemble.members:
        try:
            root = Path(read_json(member.weights.parents[2] / "study.json")["data"]["root"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if source.resolve() in [(root / name).resolve() for name in ("train.json", "val.json")]:
            return True
    return False


def show_scores(scores: LabelledScores, out: Path, console: Console) -> None:
    """Writes scores.json, and says what the vote and its members score beside what was expected of the vote."""
    found = scores.to_dict()
    write_json(out / "scores.json", found)
    kind, caution = "test", ""
    if scores.seen:
        kind, caution = "seen", ". Members were trained or selected on them: other photos will score less"
    members = ", ".join(f"{one['name']} {one[f'{kind}/miou']:.4f}" for one in found["members"])
    score = f"mIoU {found[f'{kind}/miou']:.4f} on {found['photos']} labelled photos"
    console.print(escape(f"{kind:<10}{score}; members {members}{caution}"), soft_wrap=True, highlight=False)
