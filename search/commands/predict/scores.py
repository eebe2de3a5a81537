"""The scores of a prediction on labelled photos, which are best a test that neither search nor selection has seen."""

import filecmp
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ensembling.assessment.bootstrap import Interval, bootstrap_mious, influence, interval
from ensembling.runs.members import Ensemble
from ensembling.scores import confusion_matrix, counts_from_confusion, iou_per_class, miou, why_meaningless
from search.report.console import say
from search.study.manifest import read_manifest
from search.study.study import data_files, data_root
from trainables.data.annotations.labels import Labels, read_labels
from trainables.data.layout import find_layout
from trainables.data.photo_list import Photo, PhotoList
from trainables.errors import UserError
from trainables.files import read_json, write_json

SEED = 0  # for the bootstrap


class LabelledScores:
    """The counts of the vote and of each member against the labels, added photo by photo."""

    def __init__(self, labels: Labels, ensemble: Ensemble, *, seen: int) -> None:
        """Begin without photos. `seen` is on how many of those to come members were trained or selected."""
        self._labels, self._ensemble, self._photos, self.seen = labels, ensemble, 0, seen
        classes = len(ensemble.class_names)
        self._confusions = np.zeros((1 + len(ensemble.members), classes, classes), np.int64)
        self._counts: list[np.ndarray] = []  # for each photo those of the vote and of its best-ranked member

    @property
    def expected(self) -> tuple[float, float] | None:
        """Return the cross-fitted mIoU of the selection and its standard error (0 if unknown); None without one."""
        description = self._ensemble.description
        value = description.crossfit_miou
        if value is None:
            return None
        known = description.crossfit_interval
        return value, (known and known.standard_error) or 0.0

    def target(self, photo: Photo) -> np.ndarray:
        """Return the photo's labels as a class map uint8 (H, W)."""
        return self._labels.mask(photo.image_id, photo.size)

    def add(self, photo: Photo, ballots: np.ndarray, winners: np.ndarray) -> None:
        """Count a photo: the class maps uint8 (members, H, W) of the members, and their vote (H, W)."""
        target, self._photos = self.target(photo), self._photos + 1
        own = np.stack([confusion_matrix(one, target, len(self._confusions[0])) for one in (winners, *ballots)])
        self._confusions += own
        self._counts.append(np.stack([counts_from_confusion(one) for one in own[:2]]))

    @property
    def interval(self) -> Interval | None:
        """Return the vote's mIoU with its interval by the bootstrap over photos; None for fewer than two photos."""
        if self._photos < 2:
            return None
        return interval(miou(self._confusions[0]), self._drawn[:, 0], self._influences[0], self._photos_with)

    @property
    def gain(self) -> Interval | None:
        """Return the vote's mIoU less that of its best-ranked member, on the same draws; None for a single member."""
        if self._photos < 2 or len(self._confusions) < 3:
            return None
        value, drawn = miou(self._confusions[0]) - miou(self._confusions[1]), self._drawn[:, 0] - self._drawn[:, 1]
        return interval(value, drawn, self._influences[0] - self._influences[1], self._photos_with)

    @cached_property
    def _drawn(self) -> np.ndarray:
        """Return replicates of the mIoU of the vote and of its best-ranked member: float64 (draws, 2)."""
        return bootstrap_mious(np.stack(self._counts, axis=1), SEED)

    @property
    def _influences(self) -> list[np.ndarray]:
        """Return what each photo adds to the mIoU of the vote and of its best member: float64 (photos, classes)."""
        return [influence(counts) for counts in np.stack(self._counts, axis=1)]

    @property
    def _photos_with(self) -> np.ndarray:
        """Return the number of photos in which each class is labelled: int64 (classes,)."""
        return (np.stack(self._counts)[:, 0, 2] > 0).sum(axis=0)

    @property
    def meaningless(self) -> str | None:
        """Return why the scores are meaningless; None where they are not."""
        return why_meaningless(self._confusions[0].sum(axis=1), self._ensemble.class_names)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for scores.json. The IoU of a class in neither labels nor vote is null."""
        vote, *members = self._confusions
        key = "seen/miou" if self.seen else "test/miou"
        iou = [None if np.isnan(one) else float(one) for one in iou_per_class(vote)]
        return {
            "photos": self._photos,
            key: float(miou(vote)),
            "interval": asdict(self.interval) if self.interval else None,
            "gain": asdict(self.gain) if self.gain else None,
            "iou": dict(zip(self._ensemble.class_names, iou)),
            "members": [
                {"name": member.name, "run_id": member.run_id, key: float(miou(confusion))}
                for member, confusion in zip(self._ensemble.members, members)
            ],
        }


def scores_of(listed: PhotoList, ensemble: Ensemble, console: Console) -> LabelledScores | None:
    """Return empty scores for the labels of the photos' source; None, after saying why, where it has none that fit."""
    source = listed.source
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
    return LabelledScores(labels, ensemble, seen=_count_seen(listed, ensemble))


def _count_seen(listed: PhotoList, ensemble: Ensemble) -> int:
    """Return how many of the photos have the bytes of one that a member was trained or selected on.

    An exported ensemble, and a study whose data set is gone, say nothing of theirs.
    """
    by_bytes: dict[int, list[Path]] = {}
    for study in {member.weights.parents[2] for member in ensemble.members}:
        with suppress(UserError, OSError, ValueError):
            for path in _photos_of(study):
                by_bytes.setdefault(path.stat().st_size, []).append(path)
    return sum(_is_one_of(photo.path, by_bytes.get(photo.path.stat().st_size, ())) for photo in listed.photos)


def _photos_of(study: Path) -> Iterator[Path]:
    """Yield the training and holdout photos of the study in a directory. Raises UserError where it cannot be read."""
    manifest = read_manifest(study)
    layout = find_layout(data_root(study, manifest), **data_files(manifest))
    for split, file in layout.files.items():
        if split != "test":
            finder = layout.photos(split)
            paths = (finder.path(image["file_name"]) for image in read_json(file)["images"])
            yield from (path for path in paths if path.is_file())


def _is_one_of(photo: Path, others: Iterable[Path]) -> bool:
    return any(photo == other or filecmp.cmp(photo, other, shallow=False) for other in others)


def _beside_expected(value: float, error: float | None, expected: tuple[float, float] | None) -> str:
    """Return what the selection expected, and whether the score agrees with it.

    Both are means over photos with errors of their own. They agree where their difference is at most two of its
    standard errors.
    """
    if expected is None:
        return ""
    foreseen, its_error = expected
    known = f"{foreseen:.4f} ± {its_error:.4f}" if its_error else f"{foreseen:.4f}"
    if error is None or not its_error:
        return f"; its selection expected {known}"
    difference, bound = value - foreseen, 2 * math.hypot(error, its_error)
    if abs(difference) <= bound:
        return f"; its selection expected {known}, and the score is within that"
    side = "above" if difference > 0 else "below"
    return (
        f"; its selection expected {known}, and the score is {abs(difference):.4f} {side} that, more than chance "
        "explains: these photos differ from those of the holdout"
    )


def show_scores(scores: LabelledScores, out: Path, console: Console) -> None:
    """Write scores.json, and show the scores of the vote and its members beside what the selection expected."""
    if scores.meaningless:
        say(console, f"the labelled photos cannot be scored: {scores.meaningless}", style="yellow")
        return
    found, expected = scores.to_dict(), scores.expected
    write_json(out / "scores.json", found)
    error = found["interval"]["standard_error"] if found["interval"] else None
    kind, beside = "test", _beside_expected(found["test/miou"], error, expected) if not scores.seen else ""
    if scores.seen:
        which = "these" if scores.seen == found["photos"] else f"{scores.seen} of these"
        kind, beside = (
            "seen",
            f". Members were trained or selected on {which} photos, so this score does not hold for others",
        )
    members = ", ".join(f"{one['name']} {one[f'{kind}/miou']:.4f}" for one in found["members"])
    plus_minus = "" if error is None else f" ± {error:.4f}"
    score = f"mIoU {found[f'{kind}/miou']:.4f}{plus_minus} on {found['photos']} labelled photos"
    say(console, f"{kind:<10}{score}; members {members}{beside}")
    if scores.gain and scores.gain.standard_error is not None:
        gain = f"{100 * scores.gain.value:+.2f} ± {100 * scores.gain.standard_error:.2f} points"
        where = "within" if scores.gain.within_error else "more than"
        if scores.gain.value < -scores.gain.standard_error:
            where = "below zero by more than"
        say(console, f"{'gain':<10}{gain} over the best-ranked member on the same photos: {where} its standard error")
