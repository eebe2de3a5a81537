"""Messages on classes that no training photo or no holdout photo has."""

from collections.abc import Iterable

from search.report.durations import counted
from trainables.data import Dataset, Splits

NAMED = 5


def absent_classes(dataset: Dataset, splits: Splits) -> list[str]:
    """Return a sentence on the classes that are scored and cannot be learnt, and one on those that are not scored.

    A class that no photo at all has is neither: the list of classes says so.
    """
    training, holdout = (_category_ids(dataset, rows) for rows in (splits.training_rows("all"), splits.holdout))
    unlearnt = [one.name for one in dataset.categories if one.id in holdout - training]
    unscored = [one.name for one in dataset.categories if one.id in training - holdout]
    words = []
    if unlearnt:
        words.append(
            f"No training photo has {_some(unlearnt)}, but the holdout does: a class that no trial can learn counts as "
            "0 in each score. Bring photos with it into training, or merge or remove the class."
        )
    if unscored:
        remedy = "Try another --seed or a larger --holdout-fraction, or give a val.json with such photos."
        if dataset.images[splits.holdout[0]].split == "val":
            remedy = f"Move such photos into {dataset.files['val']}."
        words.append(
            f"No holdout photo has {_some(unscored)}: no score says how well such a class is recognised. {remedy}"
        )
    return words


def _category_ids(dataset: Dataset, rows: Iterable[int]) -> set[int]:
    return {annotation.category_id for row in rows for annotation in dataset.images[row].annotations}


def _some(names: list[str]) -> str:
    left = len(names) - NAMED
    *others, last = names if left <= 0 else [*names[:NAMED], counted(left, "further class", "further classes")]
    return f"{', '.join(others)} or {last}" if others else last
