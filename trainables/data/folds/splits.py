"""Holdout and folds: stratified by class, all annotations of a photo together."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.dataset import Dataset
from trainables.data.folds.labels import LABELS, Labels
from trainables.data.folds.predefined import read_folds
from trainables.data.scenes import Scenes, declared_scenes
from trainables.errors import UserError

_MOST_GROUPS = 3  # of a holdout that is chosen among few groups


@dataclass(frozen=True)
class Splits:
    """The rows of a data set, each tuple ascending: `holdout`, which no trial trains on, `folds`, and `test`.

    `holdout_groups` has the number of each holdout photo's scene, whose photos are always kept together; it is empty if
    each photo is its own scene. The splits are made once by the driver and stored with the study; workers read them, so
    that all use the same.
    """

    holdout: tuple[int, ...]
    folds: tuple[tuple[int, ...], ...]
    test: tuple[int, ...]
    seed: int
    holdout_groups: tuple[int, ...] = ()

    def training_rows(self, fold: int | str) -> tuple[int, ...]:
        """Return the rows of all folds but `fold`, ascending; with "all", those of all folds."""
        left_out = () if fold == "all" else self.fold_rows(fold)
        return tuple(sorted({row for rows in self.folds for row in rows} - set(left_out)))

    def fold_rows(self, fold: int | str) -> tuple[int, ...]:
        """Return the rows of a fold; none for "all", which leaves no fold out. Raises UserError for an unknown
        fold.
        """
        if fold == "all":
            return ()
        if type(fold) is not int or not 0 <= fold < len(self.folds):
            raise UserError(
                f'fold is {fold!r}, but there are {len(self.folds)}: use 0 to {len(self.folds) - 1}, or "all"'
            )
        return self.folds[fold]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Splits":
        """Return the splits that `to_dict` described, also after they were written to JSON and read."""
        folds = tuple(tuple(rows) for rows in values["folds"])
        groups = tuple(values.get("holdout_groups", ()))
        return cls(tuple(values["holdout"]), folds, tuple(values["test"]), values["seed"], groups)


def make_splits(
    dataset: Dataset,
    *,
    folds: int = 5,
    holdout_fraction: float = 0.2,
    seed: int = 0,
    scenes: Scenes | None = None,
    whole_scenes: bool = False,
    folds_by: str = "sgkf",
    folds_file: Path | None = None,
) -> Splits:
    """Return splits: the rows of val.json, or a part of those of train.json, as holdout, and the rest in `folds` folds.

    Every scene is kept whole: each is a group of scikit-learn's StratifiedGroupKFold, in which each annotation is one
    sample of its class, and a photo without annotations is one sample of a class of its own.

    Where there are too few scenes for that method, the holdout is a set of whole scenes: of the sets that take the
    fewest classes away from training, the one whose size is closest to what was asked for. Sequences are then cut into
    stretches to make folds, or a holdout of a single scene. Classes rarer than the number of folds are missing from
    some of them. The same data set, scenes, arguments and scikit-learn give the same splits.

    Args:
        dataset: The data set.
        folds: The number of folds, at least 2.
        holdout_fraction: The share of train.json that is held out where there is no val.json.
        seed: Shuffles the photos.
        scenes: The scenes; by default those that the files declare.
        whole_scenes: Whether val.json is no holdout: its photos are then among those of which holdout and folds are
            cut.
        folds_by: What the folds keep even, a key of `LABELS` in trainables.data.folds.labels. The holdout does not
            depend on it. "predefined" reads the folds from `folds_file`.
        folds_file: The file with the fold of each photo.

    Raises:
        UserError: An argument is impossible, or there are too few photos.
    """
    if folds < 2:
        raise UserError(f"folds is {folds}: use at least 2 (a trial with fold all trains on all of them)")
    if not 0 < holdout_fraction < 1:
        raise UserError(f"holdout_fraction is {holdout_fraction}: use a fraction between 0 and 1")
    scenes = scenes or declared_scenes(dataset.images)
    cut = _Cut(dataset, scenes, seed)
    rows = dataset.rows("train")
    holdout = dataset.rows("val")
    if whole_scenes:
        rows, holdout = tuple(sorted((*rows, *holdout))), ()
    if not holdout:
        holdout = cut.part(rows, holdout_fraction, folds)
        rows = tuple(row for row in rows if row not in set(holdout))
    parts = cut.predefined(rows, folds, folds_file) if folds_by == "predefined" else cut.parts(rows, folds, folds_by)
    numbers: dict[int, int] = {}
    groups = tuple(numbers.setdefault(scenes.of_row[row], len(numbers)) for row in holdout)
    return Splits(holdout, tuple(parts), dataset.rows("test"), seed, groups)


@dataclass(frozen=True, eq=False)
class _Cut:
    """A cut of a data set's rows into parts that keeps every scene whole, unless there are too few scenes."""

    dataset: Dataset
    scenes: Scenes
    seed: int

    def part(self, rows: Sequence[int], fraction: float, folds: int) -> tuple[int, ...]:
        """Return about `fraction` of the rows: the first p of q strata, where p/q is the closest fraction with q up
        to 20.
        """
        share = Fraction(fraction).limit_denominator(20)
        share = min(max(share, Fraction(1, 20)), Fraction(19, 20))
        needed, scenes = folds + 1, self.scenes.count(rows)
        self._check(rows, needed)
        if scenes >= max(share.denominator, needed):
            parts = self.parts(rows, share.denominator)[: share.numerator]
            held_out = tuple(sorted(row for part in parts for row in part))
        else:
            held_out = self._whole_groups(rows, self._groups(rows, share.denominator if scenes == 1 else 2), fraction)
        return self._leaving(rows, held_out, folds)

    def _leaving(self, rows: Sequence[int], held_out: Sequence[int], folds: int) -> tuple[int, ...]:
        """Return the rows held out, without whole scenes that are given back where a fold of very few photos would be
        empty.

        Strata may be uneven: one of five strata of six photos may have two of them.
        """
        scenes = dict.fromkeys(self.scenes.of_row[row] for row in held_out)
        while len(scenes) > 1:
            left = {self.scenes.parts[row] for row in rows if self.scenes.of_row[row] not in scenes}
            if len(left) >= folds:
                break
            scenes.popitem()
        return tuple(row for row in held_out if self.scenes.of_row[row] in scenes)

    def parts(self, rows: Sequence[int], number: int, method: str = "sgkf") -> list[tuple[int, ...]]:
        """Return the rows in that many parts, each ascending, none empty."""
        self._check(rows, number)
        return _stratified(LABELS[method](self.dataset, rows), self._groups(rows, number), number, self.seed)

    def predefined(self, rows: Sequence[int], number: int, file: Path | None) -> list[tuple[int, ...]]:
        """Return the rows in the parts that a file defines. Raises UserError where none is given or it does not fit."""
        if file is None:
            raise UserError("folds by predefined need a file of image and fold: give --folds-file FILE")
        return read_folds(file, self.dataset, rows, number, self.scenes.parts)

    def _groups(self, rows: Sequence[int], needed: int) -> dict[int, int]:
        return self.scenes.stretches(rows, [image.file_name for image in self.dataset.images], needed)

    def _check(self, rows: Sequence[int], needed: int) -> None:
        parts = len({self.scenes.parts[row] for row in rows})
        if parts < needed:
            grouped = f" (those that belong together count once{self._why()})" if parts < len(rows) else ""
            raise UserError(
                f"{self.dataset.root} leaves {parts} different photos to split{grouped}, and this takes at least "
                f"{needed}: {self._remedy()}use fewer folds (at least 2), bring a val.json as holdout, or add photos"
            )

    def _why(self) -> str:
        """Return in words what put photos together, and how many; nothing where that is not known."""
        told = [f"{number} by {reason}" for reason, number in self.scenes.reasons]
        return f"; of all {len(self.dataset.images)} photos {', '.join(told)}" if told else ""

    def _remedy(self) -> str:
        """Return what to do first where the user has said which photos belong together."""
        reasons = dict(self.scenes.reasons)
        if "--group-by" in reasons:
            return (
                "leave --group-by out, or let it find the part of a file name that differs from scene to scene, as "
                r"'(\w+)_\d+' does in drive1_0007.jpg and drive2_0001.jpg; otherwise "
            )
        if "a declared group" in reasons:
            return 'check what "group" the images have in the annotations; otherwise '
        return ""

    def _whole_groups(self, rows: Sequence[int], group_of: dict[int, int], fraction: float) -> tuple[int, ...]:
        """Return the rows of some groups, of few; of the sets tried, the best as the docstring of make_splits says."""
        members: dict[int, list[int]] = {}
        for row in rows:
            members.setdefault(group_of[row], []).append(row)
        sizes = {group: len(its) for group, its in members.items()}
        classes = {group: self._classes(its) for group, its in members.items()}
        order = np.random.default_rng(self.seed).permutation(sorted(sizes)).tolist()

        def cost(chosen: tuple[int, ...]) -> tuple[int, float]:
            kept = set().union(*(classes[group] for group in order if group not in chosen))
            lost = len(set().union(*(classes[group] for group in chosen)) - kept)
            return lost, abs(sum(sizes[group] for group in chosen) - fraction * len(rows))

        most = min(len(order) - 1, _MOST_GROUPS)
        tried = (chosen for size in range(1, most + 1) for chosen in combinations(order, size))
        best = min(tried, key=cost)
        return tuple(sorted(row for group in best for row in members[group]))

    def _classes(self, rows: Iterable[int]) -> set[int]:
        return {annotation.category_id for row in rows for annotation in self.dataset.images[row].annotations}


def _stratified(labels: Labels, group_of: dict[int, int], parts: int, seed: int) -> list[tuple[int, ...]]:
    """Return the rows in that many parts, ascending, none empty; `group_of` has the group of each row."""
    # Imported here because it takes 2 s, and workers only read splits.
    from sklearn.model_selection import StratifiedGroupKFold

    rows = list(labels)
    samples = [(index, label) for index, row in enumerate(rows) for label in labels[row]]
    indices, classes = (np.array(values) for values in zip(*samples))
    if max(Counter(classes.tolist()).values()) < parts:
        classes = np.zeros_like(classes)  # every class is rarer than the parts, which scikit-learn refuses
    groups = np.array([group_of[rows[index]] for index in indices])
    cutter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", category=UserWarning
        )  # scikit-learn warns of rare classes, which the docstring of make_splits explains
        cuts = [np.unique(groups[chosen]).tolist() for _, chosen in cutter.split(indices, classes, groups)]
    for cut in cuts:
        if not cut:  # this happens where there are very few photos
            cut.append(max(cuts, key=len).pop())
    part_of = {number: part for part, cut in enumerate(cuts) for number in cut}
    return [tuple(sorted(row for row in rows if part_of[group_of[row]] == part)) for part in range(parts)]
