"""What a prediction scores on photos that have labels: at best a test that neither search nor selection saw."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ensembling.runs.members import Ensemble
from ensembling.scores import confusion_matrix, iou_per_class, miou, why_meaningless
from search.report.plain import say
from search.study.manifest import read_manifest
from search.study.study import data_files, data_root
from trainables.data.labels import Labels, read_labels
from trainables.data.layout import find_layout
from trainables.data.unlabelled import Photo
from trainables.errors import UserError
from trainables.files import write_json


class LabelledScores:
    """Counts, photo by photo, the vote and each member against the labels."""

    def __init__(self, labels: Labels, ensemble: Ensemble, *, seen: bool) -> None:
        """`seen` photos are those that members were trained or selected on."""
        self._labels, self._ensemble, self._photos, self.seen = labels, ensemble, 0, seen
        classes = len(ensemble.class_names)
        self._confusions = np.zeros((1 + len(ensemble.members), classes, classes), np.int64)

    @property
    def expected(self) -> float | None:
        """The cross-fitted mIoU of the vote's selection, where there is one."""
        return self._ensemble.description.get("crossfit_miou")

    def add(self, photo: Photo, ballots: np.ndarray, winners: np.ndarray) -> None:
        """Class maps uint8 (members, H, W), and their vote (H, W)."""
        target, self._photos = self._labels.mask(photo.image_id, photo.size), self._photos + 1
        for confusion, class_map in zip(self._confusions, [winners, *ballots], strict=True):
            confusion += confusion_matrix(class_map, target, len(confusion))

    @property
    def meaningless(self) -> str | None:
        """Why the scores mean nothing; None where they do."""
        return why_meaningless(self._confusions[0].sum(axis=1), self._ensemble.class_names)

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
        say(console, f"{error!s}: nothing is scored", style="yellow")
        return None
    if labels is None:
        return None
    if labels.problems:
        text = f"{len(labels.problems)} problems with the labels of {source}, the first: {labels.problems[0]}"
        say(console, text, style="yellow")
    return LabelledScores(labels, ensemble, seen=_were_seen(source, ensemble))


def _were_seen(source: Path, ensemble: Ensemble) -> bool:
    """Return whether `source` is the training or validation file of a member's study, as far as that is known."""
    for member in ensemble.members:
        try:
            study = member.weights.parents[2]
            manifest = read_manifest(study)
            files = find_layout(data_root(study, manifest), **data_files(manifest)).files
        except UserError:  # an exported ensemble lies in no study, or the data set is gone
            continue
        if source.resolve() in [path.resolve() for split, path in files.items() if split != "test"]:
            return True
    return False


def show_scores(scores: LabelledScores, out: Path, console: Console) -> None:
    """Writes scores.json, and says what the vote and its members score beside what the selection expected."""
    if scores.meaningless:
        say(console, f"nothing is scored, though there are labels: {scores.meaningless}", style="yellow")
        return
    found, expected = scores.to_dict(), scores.expected
    write_json(out / "scores.json", found)
    kind, beside = "test", f"; its selection expected {expected:.4f}" if expected is not None else ""
    if scores.seen:
        kind, beside = "seen", ". Members were trained or selected on them: it says nothing of other photos"
    members = ", ".join(f"{one['name']} {one[f'{kind}/miou']:.4f}" for one in found["members"])
    score = f"mIoU {found[f'{kind}/miou']:.4f} on {found['photos']} labelled photos"
    say(console, f"{kind:<10}{score}; members {members}{beside}")
