"""How even folds are: shares of classes, labelled areas and numbers of classes, fold by fold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainables.data.dataset import Dataset
from trainables.data.exploration.counts import classes_per_image
from trainables.data.exploration.table import Table
from trainables.data.folds.labels import AREAS, MOST_CLASSES, SIZES, area_bins


@dataclass(frozen=True, eq=False)
class Evenness:
    """Shares in percent, (parts, strata), and over all training photos, (strata,); a stratum is (kind, name).

    The kinds are "annotations" and "pixels", of which each class has a share, and "size" and "count", for which each
    bin of the labelled area and each number of classes has a share of the photos. `missing` names the classes without
    an annotation in a part, by part.
    """

    parts: tuple[str, ...]
    strata: tuple[tuple[str, str], ...]
    shares: np.ndarray
    overall: np.ndarray
    photos: tuple[int, ...]
    missing: dict[str, list[str]]

    @property
    def deviations(self) -> np.ndarray:
        """Return the difference between each part's share and that of all photos, in points, (parts, strata)."""
        return self.shares - self.overall

    def worst(self, parts: Sequence[str] | None = None) -> tuple[float, str, tuple[str, str]]:
        """Return the largest deviation in points, without its sign, of these parts, with its part and stratum."""
        chosen = [index for index, part in enumerate(self.parts) if parts is None or part in parts]
        sizes = np.abs(self.deviations[chosen])
        part, stratum = np.unravel_index(int(sizes.argmax()), sizes.shape)
        return float(sizes[part, stratum]), self.parts[chosen[part]], self.strata[stratum]


def measure(table: Table, parts: dict[str, Sequence[int]], training: Sequence[int]) -> Evenness:
    """Return the shares of each of `parts`, rows by name, beside those of all `training` rows."""
    strata = tuple((kind, name) for kind in ("annotations", "pixels") for name in table.names)
    strata += tuple(("size", name) for name in AREAS)
    strata += tuple(("count", _in_words(count)) for count in range(1, MOST_CLASSES + 1))
    sizes = area_bins(table.dataset, [image.row for image in table.dataset.images])
    counts = np.minimum(classes_per_image(table), MOST_CLASSES)
    shares = [_shares(table, rows, sizes, counts) for rows in parts.values()]
    missing = {name: _missing(table, rows, training) for name, rows in parts.items()}
    return Evenness(
        tuple(parts),
        strata,
        np.array(shares),
        _shares(table, training, sizes, counts),
        tuple(len(rows) for rows in parts.values()),
        {name: names for name, names in missing.items() if names},
    )


def _in_words(count: int) -> str:
    if count == 1:
        return "1 class"
    return f"{count} or more classes" if count == MOST_CLASSES else f"{count} classes"


def _shares(table: Table, rows: Sequence[int], sizes: dict[int, int], counts: np.ndarray) -> np.ndarray:
    own = np.isin(table.image, np.asarray(rows, np.int64))
    classes = len(table.names)
    annotations = np.bincount(table.category[own], minlength=classes)
    pixels = np.bincount(table.category[own], table.visible[own], minlength=classes)
    by_size = np.bincount([sizes[row] for row in rows if row in sizes], minlength=SIZES + 1)[1:]
    by_count = np.bincount(counts[np.asarray(rows, np.int64)], minlength=MOST_CLASSES + 1)[1:]
    return np.concatenate([100 * part / max(1, part.sum()) for part in (annotations, pixels, by_size, by_count)])


def _missing(table: Table, rows: Sequence[int], training: Sequence[int]) -> list[str]:
    """Return the classes that the training photos have and these rows do not."""
    present, everywhere = (_present(table, its) for its in (rows, training))
    return [name for name, here, there in zip(table.names, present, everywhere) if there and not here]


def _present(table: Table, rows: Sequence[int]) -> list[bool]:
    own = np.isin(table.image, np.asarray(rows, np.int64))
    return (np.bincount(table.category[own], minlength=len(table.names)) > 0).tolist()


def rare_classes(dataset: Dataset, rows: Sequence[int], parts: int) -> list[str]:
    """Return the classes that occur in fewer photos of `rows` than there are parts."""
    photos = {category.id: 0 for category in dataset.categories}
    for row in rows:
        for category_id in {annotation.category_id for annotation in dataset.images[row].annotations}:
            photos[category_id] += 1
    return [f"{one.name} ({photos[one.id]})" for one in dataset.categories if photos[one.id] < parts]
