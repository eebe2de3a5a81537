"""Holdout and folds: stratified by class, all annotations of a photo together."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from trainables.data.coco import Dataset, ImageRecord
from trainables.errors import UserError

_UNANNOTATED = -1  # the class of a photo without annotations; no class id, so that it is a stratum of its own


@dataclass(frozen=True)
class Splits:
    """Rows of a data set, each tuple ascending: `holdout`, which no trial trains on, `folds`, and `test`.

    `holdout_groups` is the number of each holdout photo's group, which nothing tears apart; empty if each is its own.
    Made once by the driver and stored with the study; workers read them, so that all use the same.
    """

    holdout: tuple[int, ...]
    folds: tuple[tuple[int, ...], ...]
    test: tuple[int, ...]
    seed: int
    holdout_groups: tuple[int, ...] = ()

    def training_rows(self, fold: int | str) -> tuple[int, ...]:
        """The rows of all folds but `fold`, ascending; with "all", of all folds."""
        left_out = () if fold == "all" else self.fold_rows(fold)
        return tuple(sorted({row for rows in self.folds for row in rows} - set(left_out)))

    def fold_rows(self, fold: int | str) -> tuple[int, ...]:
        """The rows of a fold; of "all", which leaves none out, none. Raises UserError where there is no such fold."""
        if fold == "all":
            return ()
        if type(fold) is not int or not 0 <= fold < len(self.folds):
            raise UserError(
                f'fold is {fold!r}, but there are {len(self.folds)}: use 0 to {len(self.folds) - 1}, or "all"'
            )
        return self.folds[fold]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Splits":
        """The splits that `to_dict` wrote, also after a way through JSON."""
        folds = tuple(tuple(rows) for rows in values["folds"])
        groups = tuple(values.get("holdout_groups", ()))
        return cls(tuple(values["holdout"]), folds, tuple(values["test"]), values["seed"], groups)


def make_splits(dataset: Dataset, *, folds: int = 5, holdout_fraction: float = 0.2, seed: int = 0) -> Splits:
    """The rows of val.json, or a stratified part of those of train.json, as holdout, and the rest in `folds` folds.

    Each annotation is one sample of its class, each photo one group (photos of the same bytes, or of one `group` in
    train.json, together), and a photo without annotations one sample of a class of its own: scikit-learn's
    StratifiedGroupKFold. Classes rarer than the number of folds are missing from some of them. The same data set,
    arguments and scikit-learn give the same splits.

    Raises UserError where an argument is impossible or train.json has too few photos.
    """
    if folds < 2:
        raise UserError(f"folds is {folds}: use at least 2 (a trial with fold all trains on all of them)")
    if not 0 < holdout_fraction < 1:
        raise UserError(f"holdout_fraction is {holdout_fraction}: use a fraction between 0 and 1")
    images = [dataset.images[row] for row in dataset.rows("train")]
    holdout = dataset.rows("val")
    if not holdout:
        holdout = _stratified_part(images, dataset.class_id_of, holdout_fraction, folds, seed)
        images = [image for image in images if image.row not in set(holdout)]
    if _count_groups(images) < folds:
        raise UserError(_too_few(images, folds))
    parts = tuple(_stratified(images, dataset.class_id_of, folds, seed))
    groups = _group_numbers(dataset.images[row] for row in holdout)
    return Splits(holdout, parts, dataset.rows("test"), seed, tuple(groups[row] for row in holdout))


def _stratified_part(
    images: Sequence[ImageRecord], class_id_of: dict[int, int], fraction: float, folds: int, seed: int
) -> tuple[int, ...]:
    """About `fraction` of the images: the first p of q strata, p/q being the closest fraction with q up to 20."""
    share = Fraction(fraction).limit_denominator(20)
    share = min(max(share, Fraction(1, 20)), Fraction(19, 20))
    if _count_groups(images) < max(share.denominator, folds + 1):
        raise UserError(_too_few(images, max(share.denominator, folds + 1)))
    parts = _stratified(images, class_id_of, share.denominator, seed)[: share.numerator]
    return tuple(sorted(row for part in parts for row in part))


def _too_few(images: Sequence[ImageRecord], needed: int) -> str:
    grouped = " (those of one group count once)" if any(image.group for image in images) else ""
    return (
        f"train.json leaves {_count_groups(images)} different photos to split{grouped}, and this takes at least "
        f"{needed}: use fewer folds (at least 2), bring a val.json as holdout, or add photos"
    )


def _count_groups(images: Iterable[ImageRecord]) -> int:
    return len(set(_group_numbers(images).values()))


def _group_numbers(images: Iterable[ImageRecord]) -> dict[int, int]:
    """The number of each row's group, in the order in which they come.

    Photos of one `group` belong together, and so do those of the same bytes, also where two groups share some.
    """
    leaders: dict[tuple[str, int | str], tuple[str, int | str]] = {}

    def leader(key: tuple[str, int | str]) -> tuple[str, int | str]:
        while leaders.setdefault(key, key) != key:
            key = leaders[key]
        return key

    rows = []
    for image in images:
        rows.append(image.row)
        for kind, value in (("group", image.group), ("bytes", image.sha256)):
            if value:
                leaders[leader(("row", image.row))] = leader((kind, value))
    numbers: dict[tuple[str, int | str], int] = {}
    return {row: numbers.setdefault(leader(("row", row)), len(numbers)) for row in rows}


def _stratified(
    images: Sequence[ImageRecord], class_id_of: dict[int, int], parts: int, seed: int
) -> list[tuple[int, ...]]:
    """Cuts the images into that many parts, as ascending rows, none empty."""
    # Imported here because it takes 2 s, and workers only read splits.
    from sklearn.model_selection import StratifiedGroupKFold

    samples = [
        (place, class_id)
        for place, image in enumerate(images)
        for class_id in [class_id_of[annotation.category_id] for annotation in image.annotations] or [_UNANNOTATED]
    ]
    places, classes = (np.array(values) for values in zip(*samples))
    if max(Counter(classes.tolist()).values()) < parts:
        classes = np.zeros_like(classes)  # every class is rarer than the parts, which scikit-learn refuses
    number_of = _group_numbers(images)
    groups = np.array([number_of[images[place].row] for place in places])
    cutter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # rare classes, on which the docstring of make_splits
        cuts = [np.unique(groups[chosen]).tolist() for _, chosen in cutter.split(places, classes, groups)]
    for cut in cuts:
        if not cut:  # happens with a handful of photos
            cut.append(max(cuts, key=len).pop())
    part_of = {number: part for part, cut in enumerate(cuts) for number in cut}
    chosen = [part_of[number_of[image.row]] for image in images]
    return [tuple(image.row for image, its in zip(images, chosen) if its == part) for part in range(parts)]
