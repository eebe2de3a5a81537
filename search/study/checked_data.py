"""The data set of a search, checked before torch, ray and MLflow are imported: mistakes in it are reported soon."""

from collections.abc import Collection
from pathlib import Path

from rich.console import Console

from search.report.console import say, working
from search.study.settings import StudySettings
from trainables.data import Dataset, load_dataset
from trainables.errors import UserError


def checked_data(root: Path, settings: StudySettings, console: Console) -> Dataset:
    """Return the data set, and print its problems. Raises UserError where it cannot be trained on."""
    with working(console, "Checking the data set …"):
        dataset = load_dataset(
            root,
            unlabelled=settings.unlabelled,
            cache_dir=settings.cache_dir,
            train_json=settings.train_json,
            val_json=settings.val_json,
            max_megapixels=settings.max_megapixels,
        )
    show_problems(dataset, console)
    if dataset.num_classes < 2:
        raise UserError(
            f"{dataset.root} has one class only ({dataset.class_names[0]}): there is nothing to tell apart; "
            "annotate more categories, or leave out --unlabelled ignore to score it against the background"
        )
    return dataset


def check_trainable(dataset: Dataset, rows: Collection[int], changed_by: str = "") -> None:
    """Raise UserError where none of the photos to train on has an annotation: their only answer would be one class.

    Args:
        dataset: The data set, corrected if it is to be.
        rows: The rows to train on.
        changed_by: The file of the corrections, for the message; empty where there are none.
    """
    if any(dataset.images[row].annotations for row in rows):
        return
    what = f"with the corrections in {changed_by}, {len(rows)}" if changed_by else f"{len(rows)}"
    remedy = f"correct the rules of {changed_by}" if changed_by else "annotate more of them, or take another --seed"
    raise UserError(
        f"{dataset.root}: {what} photos are left to train on, none of which has an annotation, so that nothing can be "
        f"learnt; {remedy}"
    )


def show_problems(dataset: Dataset, console: Console, shown: int = 10) -> None:
    """Print what was found wrong with the data set and does not keep it from being used."""
    if not dataset.problems:
        return
    say(console, f"{len(dataset.problems)} annotations or files have problems and are skipped or noted:")
    first = sorted(dataset.problems, key=lambda problem: problem.id is not None)  # those of whole files
    for problem in first[:shown]:
        say(console, f"  {problem!s}")
    if len(dataset.problems) > shown:
        say(console, f"  … and {len(dataset.problems) - shown} more")
