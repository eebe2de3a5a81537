"""What differs between two annotation files of the same photos."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pycocotools import mask as coco_mask

from trainables.data.annotations.annotation import Annotation
from trainables.data.annotations.checks import is_id
from trainables.data.dataset import Dataset, ImageRecord


@dataclass
class Comparison:
    """Differences from one data set to another.

    `categories` and `images` are (gone, new) by name. Annotations are named as (image's file name, id): `removed` and
    `added`, `reshaped` with the IoU of the two masks, and `relabelled` with the class before and after.
    """

    categories: tuple[list[str], list[str]]
    images: tuple[list[str], list[str]]
    removed: list[tuple[str, int | str, str]] = field(default_factory=list)
    added: list[tuple[str, int | str, str]] = field(default_factory=list)
    relabelled: list[tuple[str, int | str, str, str]] = field(default_factory=list)
    reshaped: list[tuple[str, int | str, float]] = field(default_factory=list)

    @property
    def changes_of_class(self) -> Counter[tuple[str, str]]:
        """Return how many annotations went from one class to another."""
        return Counter((before, after) for _, _, before, after in self.relabelled)

    @property
    def same(self) -> bool:
        lists = (*self.categories, *self.images, self.removed, self.added, self.relabelled, self.reshaped)
        return not any(lists)


def compare(one: Dataset, other: Dataset) -> Comparison:
    """Return what differs. Images are the same by file name.

    Of one image, annotations are the same by id where both files have the id once; else by their pixels.
    """
    first, second = ({image.file_name: image for image in dataset.images} for dataset in (one, other))
    names = [{category.id: category.name for category in dataset.categories} for dataset in (one, other)]
    found = Comparison(
        _differing(list(names[0].values()), list(names[1].values())), _differing(list(first), list(second))
    )
    for name in first.keys() & second.keys():
        _compare_image(found, first[name], second[name], *names)
    for changes in (found.removed, found.added, found.relabelled, found.reshaped):
        changes.sort(key=lambda change: (change[0], isinstance(change[1], str), change[1]))
    return found


def _differing(before: Sequence[str], after: Sequence[str]) -> tuple[list[str], list[str]]:
    return [name for name in before if name not in set(after)], [name for name in after if name not in set(before)]


def _compare_image(
    found: Comparison, one: ImageRecord, other: ImageRecord, names: dict[int, str], new_names: dict[int, str]
) -> None:
    before, after = list(one.annotations), list(other.annotations)
    for old, new in _pairs(before, after):
        before.remove(old)
        after.remove(new)
        if names[old.category_id] != new_names[new.category_id]:
            found.relabelled.append((one.file_name, old.id, names[old.category_id], new_names[new.category_id]))
        if old.segmentation != new.segmentation:
            found.reshaped.append((one.file_name, old.id, _iou(old, new)))
    found.removed += [(one.file_name, old.id, names[old.category_id]) for old in before]
    found.added += [(one.file_name, new.id, new_names[new.category_id]) for new in after]


def _pairs(before: Sequence[Annotation], after: Sequence[Annotation]) -> list[tuple[Annotation, Annotation]]:
    """Return the annotations that are the same; a place in a file, which another file may give to another, is no id."""
    times = [Counter(one.id for one in own if is_id(one.id)) for own in (before, after)]
    by_id = {one.id: one for one in after if times[1][one.id] == 1}
    pairs = [(old, by_id[old.id]) for old in before if times[0][old.id] == 1 and old.id in by_id]
    taken = {id(one) for pair in pairs for one in pair}
    left = [new for new in after if id(new) not in taken]
    for old in before:
        same = next((new for new in left if new.segmentation == old.segmentation), None)
        if id(old) not in taken and same is not None:
            left.remove(same)
            pairs.append((old, same))
    return pairs


def _iou(old: Annotation, new: Annotation) -> float:
    if old.segmentation["size"] != new.segmentation["size"]:
        return 0.0
    return float(coco_mask.iou([old.segmentation], [new.segmentation], [0])[0, 0])
