"""`segvote data suspects`: the annotations that a study's trials, on photos that they never saw, vote against."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from ensembling import read_predictions
from search.commands.data import galleries
from search.commands.data.report import draw_all
from search.report.bars import Bars
from search.report.console import PlainTable, say
from search.study.study import Study, known_study
from trainables.data import Dataset
from trainables.data.exploration.suspects import Suspect, Votes
from trainables.data.photo_list import as_photos
from trainables.errors import UserError
from trainables.files import replacing
from trainables.inference.predictor import Predictor
from trainables.trial.files import TrialFiles

CSV, PICTURE, DRAFT = "suspects.csv", "suspects.png", "draft-edits.yaml"
SHOWN = 10


def run_suspects(name: str, runs_dir: Path, cache_dir: Path, out: Path, count: int, console: Console) -> int:
    """Write the annotations that are probably wrong, the most suspicious first, and return the exit code.

    Args:
        name: The name of the study whose trials vote.
        runs_dir: The directory of the studies.
        cache_dir: The directory of the decoded photos.
        out: The directory to write: the ranking as CSV, a sheet of pictures, and a draft of edits that relabels.
        count: How many annotations are drawn and drafted.
        console: Where to print.
    """
    study = known_study(runs_dir, name, cache_dir)
    dataset = studied_data(study)
    trials = voting_trials(study)
    votes = cast_votes(study, dataset, trials, console)
    suspects = votes.suspects()
    _write(out / CSV, _as_csv(suspects, dataset).encode())
    worst = [one for one in suspects[:count] if one.says != one.label]
    _write(out / DRAFT, _draft(worst, dataset, set(study.data.splits.holdout)).encode())
    if worst:
        with Bars(console) as bars:
            for _, sheet in draw_all([_look(worst, dataset)], dataset, bars.add("Reading photos", len(worst)), console):
                _write(out / PICTURE, galleries.as_png(sheet))
    _show(suspects, dataset, len(trials), out, console)
    return 0


def studied_data(study: Study) -> Dataset:
    """Return the data set that the study was trained on, with its edits.

    Raises UserError where it has changed since.
    """
    data = study.data
    dataset = data.load(data.root)
    if dataset.fingerprint != data.fingerprint:
        raise UserError(f"{data.root} is not what the study {study.name} was trained on any more: restore it")
    return dataset


def voting_trials(study: Study) -> list[TrialFiles]:
    """Return the trials that kept weights and class maps. Raises UserError where there is none."""
    trials = [files for files in study.trials() if files.predictions.exists() and files.best_weights.exists()]
    if not trials:
        raise UserError(
            f"no trial of the study {study.name} has predictions: it needs one that was not stopped by a failure"
        )
    return trials


def cast_votes(study: Study, dataset: Dataset, trials: Sequence[TrialFiles], console: Console) -> Votes:
    """Return the votes of trials on the labelled photos that they never saw.

    Args:
        study: The study.
        dataset: The data set that it was trained on.
        trials: The trials that vote.
        console: Where a progress bar for each trial is shown.
    """
    votes = Votes(dataset)
    for files in trials:
        with Bars(console) as bars:
            update = bars.add(f"Trial {files.number}", len(_rows(study, files)))
            for done, (row, class_map) in enumerate(_out_of_sample(study, dataset, files), start=1):
                votes.add(row, class_map)
                update(done)
    return votes


def _rows(study: Study, files: TrialFiles) -> tuple[int, ...]:
    """Return the rows that a trial never saw and that have labels: the holdout, and the fold that it left out."""
    splits = study.data.splits
    return (*splits.holdout, *splits.fold_rows(files.read_config().fold))


def _out_of_sample(study: Study, dataset: Dataset, files: TrialFiles) -> Iterator[tuple[int, object]]:
    """Yield (row, class map) of those rows: the holdout's were kept, the fold's are predicted now."""
    splits, config = study.data.splits, files.read_config()
    for row, (_, class_map) in zip(splits.holdout, read_predictions(files.predictions).maps()):
        yield row, class_map
    fold = splits.fold_rows(config.fold)
    if fold:
        predictor = Predictor(config, files.best_weights, num_classes=study.data.num_classes)
        yield from zip(fold, predictor.class_maps(as_photos(dataset.images[row] for row in fold)))


def _as_csv(suspects: Sequence[Suspect], dataset: Dataset) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        (
            "rank",
            "suspicion",
            "image",
            "split",
            "annotation_id",
            "label",
            "says",
            "agreement",
            "unanimity",
            "visible",
            "models",
        )
    )
    names = dataset.class_names
    for rank, one in enumerate(suspects, start=1):
        image = dataset.images[one.row]
        shares = (f"{one.agreement:.4f}", f"{one.unanimity:.4f}")
        where = (image.file_name, image.split, one.annotation_id)
        labels = (names[one.label], names[one.says])
        writer.writerow((rank, f"{one.suspicion:.4f}", *where, *labels, *shares, one.visible, one.models))
    return stream.getvalue()


def _draft(worst: Sequence[Suspect], dataset: Dataset, holdout: set[int]) -> str:
    """Return an edits file: a rule for each class that is said instead; what is background or holdout is a comment.

    Rules name the images, too: annotations of two files may have the same id.
    """
    relabel: dict[str, list[Suspect]] = defaultdict(list)
    comments = []
    for one in worst:
        image, says = dataset.images[one.row], dataset.class_names[one.says]
        if one.row in holdout:
            comments.append(f"# {image.file_name}, id {one.annotation_id}: {says}? It is of the holdout.")
        elif dataset.unlabelled == "background" and one.says == 0:
            comments.append(
                f"# {image.file_name}, id {one.annotation_id}: background? Look, and delete it if it is wrong."
            )
        else:
            relabel[says].append(one)
    lines = ["# A draft: look at each of these in suspects.png, and take out what is right as it is."]
    lines.append("rules:" if relabel else "rules: []  # nothing to relabel among the first suspects")
    for name, those in relabel.items():
        names = (one.annotation_id for one in those)
        ids = ", ".join(_quoted(one) if isinstance(one, str) else str(one) for one in names)
        images = ", ".join(dict.fromkeys(_quoted(dataset.images[one.row].file_name) for one in those))
        lines.append(f"  - relabel: {{annotations: [{ids}], images: [{images}], to: {_quoted(name)}}}")
    return "\n".join([*lines, *comments]) + "\n"


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _look(worst: Sequence[Suspect], dataset: Dataset) -> galleries.Look:
    names = dataset.class_names
    tiles = []
    for one in worst:
        own = dataset.images[one.row].annotations
        tiles.append((one.row, next(a for a in own if a.id == one.annotation_id)))
    captions = tuple(f"{one.annotation_id}: {names[one.label]}, or {names[one.says]}?"[:38] for one in worst)
    return galleries.Look("suspects", "Labels that the vote contradicts, outlined", tuple(tiles), captions)


def _write(path: Path, data: bytes) -> None:
    with replacing(path, sync=False) as temporary:
        temporary.write_bytes(data)


def _show(suspects: Sequence[Suspect], dataset: Dataset, trials: int, out: Path, console: Console) -> None:
    seen = len({one.row for one in suspects})
    say(console, f"{len(suspects)} annotations of {seen} photos, voted on by {trials} trials that never saw the photo")
    table = PlainTable("Most suspicious", "image", ">id", "label", "the vote says", ">agreement", ">unanimity")
    for one in suspects[:SHOWN]:
        names = dataset.class_names[one.label], dataset.class_names[one.says]
        shares = f"{one.agreement:.2f}", f"{one.unanimity:.2f}"
        table.add_row(dataset.images[one.row].file_name, str(one.annotation_id), *names, *shares)
    console.print(table)
    say(console, f"{out / CSV}\n{out / PICTURE}\n{out / DRAFT}")
