"""Folds that a file defines: JSON or CSV of image and fold."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Container, Sequence
from pathlib import Path

from trainables.data.dataset import Dataset
from trainables.data.photos.names import composed
from trainables.errors import UserError

NAMED = 5


def read_folds(
    file: Path, dataset: Dataset, rows: Sequence[int], folds: int, parts: Sequence[int]
) -> list[tuple[int, ...]]:
    """Return the rows of each fold, ascending, in the order of the folds' names in the file.

    Images of the file that are no training photos, such as those of the holdout, are passed over.

    Args:
        file: A JSON object of image and fold, or a CSV with two columns, with a head or without. An image is called by
            its file_name, by that name's last part, or by its id in train.json.
        dataset: The data set.
        rows: The rows of the training photos.
        folds: The number of folds that is asked for.
        parts: The number of each row's part, by row; photos of one part must stay together.

    Raises:
        UserError: The data set lacks an image, a training photo has no fold or several, the number of folds is another,
            a fold is empty, or photos of one part are in several folds.
    """
    row_of = _names(dataset)
    said = _read(file, row_of)
    unknown = [name for name, _ in said if name not in row_of]
    if unknown:
        raise UserError(f"{file}: no image of {dataset.root} is called {_some(unknown)}; use file_name or id")
    fold_of: dict[int, str] = {}
    for name, fold in said:
        other = fold_of.setdefault(row_of[name], fold)
        if other != fold:
            raise UserError(f"{file}: {name} is in the folds {other} and {fold}: list it once")
    missing = [dataset.images[row].file_name for row in rows if row not in fold_of]
    if missing:
        raise UserError(f"{file}: {_some(missing)} have no fold; list every training photo")
    numbers = {fold: number for number, fold in enumerate(sorted({fold_of[row] for row in rows}, key=_numeric))}
    if len(numbers) == 1:
        raise UserError(f"{file}: all training photos are in the fold {next(iter(numbers))}; put them in two or more")
    if len(numbers) != folds:
        raise UserError(f"{file}: the training photos are in {len(numbers)} folds; give --folds {len(numbers)}")
    _check_together(file, dataset, rows, fold_of, parts)
    return [tuple(sorted(row for row in rows if fold_of[row] == fold)) for fold in numbers]


def _read(file: Path, images: Container[str]) -> list[tuple[str, str]]:
    """Return each (image, fold) of the file; the first line of a CSV is a head unless it names one of `images`."""
    try:
        text = file.read_text("utf-8-sig")
        pairs = json.loads(text, object_pairs_hook=list) if file.suffix == ".json" else _of_csv(file, text, images)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
    except UserError:
        raise
    except (ValueError, RecursionError, csv.Error) as error:
        raise UserError(f"{file}: is neither a JSON object nor a CSV with two columns ({error})") from error
    if not isinstance(pairs, list) or not pairs or not all(isinstance(one, tuple) for one in pairs):
        raise UserError(f"{file}: lists no image; expected a JSON object or a CSV of image and fold")
    odd = [name for name, fold in pairs if not isinstance(fold, (int, str)) or not str(fold).strip()]
    if odd:
        raise UserError(f"{file}: the fold of {_some(odd)} is no number or name")
    return [(composed(str(name).strip()), str(fold).strip()) for name, fold in pairs]


def _of_csv(file: Path, text: str, images: Container[str]) -> list[tuple[str, str]]:
    reader = csv.reader(io.StringIO(text))
    pairs = []
    for row in reader:
        if not any(field.strip() for field in row):
            continue
        if len(row) != 2:
            where = f"{file}, line {reader.line_num}"
            raise UserError(f"{where}: has {len(row)} columns; write an image and its fold with a comma between")
        pairs.append((row[0], row[1]))
    return pairs if pairs and composed(pairs[0][0].strip()) in images else pairs[1:]


def _names(dataset: Dataset) -> dict[str, int]:
    """Return the row that each name means; what may mean several rows means the one of train.json, or none."""
    meant: dict[str, set[int]] = defaultdict(set)
    for image in dataset.images:
        names = {image.file_name, image.path.name} | ({str(image.image_id)} if image.split == "train" else set())
        for name in names:
            meant[composed(name)].add(image.row)
    return {name: next(iter(rows)) for name, rows in meant.items() if len(rows) == 1}


def _check_together(
    file: Path, dataset: Dataset, rows: Sequence[int], fold_of: dict[int, str], parts: Sequence[int]
) -> None:
    first: dict[int, int] = {}
    for row in rows:
        other = first.setdefault(parts[row], row)
        if fold_of[row] != fold_of[other]:
            names = dataset.images[other].file_name, dataset.images[row].file_name
            raise UserError(
                f"{file}: {names[0]} and {names[1]} belong together (declared, or the same picture), but are in the "
                f"folds {fold_of[other]} and {fold_of[row]}: put them in one"
            )


def _numeric(fold: str) -> tuple[float, str]:
    try:
        return float(fold), fold
    except ValueError:
        return float("inf"), fold


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
