"""`segvote data folds`: how balanced the folds of each method are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table as Shown

from search.commands.data.charts import STYLE, as_png, labels_of
from search.report.bars import Bars
from trainables.data import Dataset, Splits, make_splits
from trainables.data.exploration.table import make_table
from trainables.data.folds.evenness import Evenness, measure, rare_classes
from trainables.data.folds.labels import METHODS
from trainables.data.scenes import Scenes
from trainables.files import replacing, write_json

KINDS = {
    "annotations": "% of the annotations",
    "pixels": "% of the labelled pixels",
    "size": "% of the photos, by labelled area",
    "count": "% of the photos, by number of classes",
}
HEADINGS = {"annotations": "class", "pixels": "class", "size": "labelled area", "count": "it has"}
LABELS = {
    "annotations": "{}, annotations",
    "pixels": "{}, pixels",
    "size": "photos, {} by labelled area",
    "count": "photos with {}",
}
ROW = 0.17  # inches
HOLDOUT = "holdout"


@dataclass(frozen=True)
class FoldsOptions:
    """As the flags of a search; all methods are compared, and `method` is the one that is shown fold by fold."""

    folds: int
    method: str
    file: Path | None
    holdout_fraction: float
    seed: int


def run_folds(dataset: Dataset, scenes: Scenes, options: FoldsOptions, out: Path, console: Console) -> int:
    """Print each fold's shares and a table of all methods, write folds.png and folds.json, and return the exit code.

    The table of methods counts, over the folds, the classes that the training photos have and a fold does not.

    Args:
        dataset: The data set.
        scenes: The photos that belong together.
        options: How the folds are made.
        out: The directory of the files.
        console: Where to print.
    """
    with Bars(console) as bars:
        table = make_table(dataset, bars.add("Counting visible pixels", len(dataset.images)))
    measured = {}
    for method in METHODS:
        if method != "predefined" or options.file:
            splits = _split(dataset, scenes, options, method)
            training = sorted(row for fold in splits.folds for row in fold)
            measured[method] = measure(table, _parts(splits), training)
    shown = measured[options.method]
    for kind, title in KINDS.items():
        console.print(_shares(shown, kind, f"{options.method}: {title}"))
    console.print(_comparison(measured, options.method))
    _say_missing(shown, options.method, console)
    rare = rare_classes(dataset, training, options.folds)
    if rare:
        text = f"Fewer training photos than folds: {', '.join(rare)}. No method can give every fold one of them."
        console.print(text, soft_wrap=True)
    _write(out, measured)
    console.print(f"figure   {out / 'folds.png'!s}\nnumbers  {out / 'folds.json'!s}", soft_wrap=True)
    return 0


def _split(dataset: Dataset, scenes: Scenes, options: FoldsOptions, method: str) -> Splits:
    how = {"folds": options.folds, "holdout_fraction": options.holdout_fraction, "seed": options.seed}
    return make_splits(dataset, **how, scenes=scenes, folds_by=method, folds_file=options.file)


def _parts(splits: Splits) -> dict[str, Sequence[int]]:
    folds = {f"fold {number}": rows for number, rows in enumerate(splits.folds)}
    return {**folds, HOLDOUT: splits.holdout} if splits.holdout else folds


def _folds(measured: Evenness) -> list[str]:
    return [part for part in measured.parts if part != HOLDOUT]


def _shares(measured: Evenness, kind: str, title: str) -> Shown:
    shown = Shown(title=title, title_justify="left")
    shown.add_column(HEADINGS[kind], overflow="fold")
    for name in ("training", *measured.parts):
        shown.add_column(name, justify="right", no_wrap=True)
    for index, (its_kind, name) in enumerate(measured.strata):
        if its_kind == kind and (measured.overall[index] or measured.shares[:, index].any()):
            values = (measured.overall[index], *measured.shares[:, index])
            shown.add_row(name, *(f"{value:.1f}" for value in values))
    if kind == "count":
        shown.add_row("photos", "", *map(str, measured.photos), style="bold")
    return shown


def _comparison(measured: dict[str, Evenness], chosen: str) -> Shown:
    shown = Shown(title="Worst deviation of a fold from all training photos, in points", title_justify="left")
    for name in ("method", "worst", "where", "photos in a fold", "missing classes, all folds"):
        shown.add_column(name, justify="right" if name in ("worst", "missing classes, all folds") else "left")
    for method, one in measured.items():
        worst, part, (kind, name) = one.worst(_folds(one))
        photos = [count for which, count in zip(one.parts, one.photos) if which != HOLDOUT]
        missing = sum(len(names) for which, names in one.missing.items() if which != HOLDOUT)
        where = f"{part}: {name}, {KINDS[kind]}"
        style = "bold" if method == chosen else None
        shown.add_row(method, f"{worst:.2f}", where, f"{min(photos)} to {max(photos)}", str(missing), style=style)
    return shown


def _say_missing(one: Evenness, method: str, console: Console) -> None:
    for part, names in one.missing.items():
        console.print(f"{method}: {part} has no {', '.join(names)}", soft_wrap=True)


def _write(out: Path, measured: dict[str, Evenness]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "folds.json", {method: _numbers(one) for method, one in measured.items()})
    with replacing(out / "folds.png", sync=False) as temporary:
        temporary.write_bytes(as_png(draw_folds(measured)))


def _numbers(one: Evenness) -> dict[str, Any]:
    worst, part, stratum = one.worst(_folds(one))
    return {
        "worst_deviation": {"points": worst, "part": part, "stratum": list(stratum)},
        "strata": [list(stratum) for stratum in one.strata],
        "training_shares": one.overall.tolist(),
        "shares": dict(zip(one.parts, one.shares.tolist())),
        "photos": dict(zip(one.parts, one.photos)),
        "missing": one.missing,
    }


def draw_folds(measured: dict[str, Evenness]) -> Figure:
    """Return a panel a method: how far each fold's share of each stratum is from that of all, in points."""
    first = next(iter(measured.values()))
    used = np.flatnonzero(np.any([one.shares.any(axis=0) for one in measured.values()], axis=0))
    strata = [first.strata[index] for index in used]
    labels = [LABELS[kind].format(name) for (kind, _), name in zip(strata, labels_of(name for _, name in strata))]
    limit = max(1.0, *(float(np.abs(one.deviations[:, used]).max()) for one in measured.values()))
    with rc_context(STYLE):
        figure = Figure(figsize=(2.2 + 1.9 * len(measured), 1.4 + ROW * len(used)), layout="constrained")
        axes = figure.subplots(1, len(measured), squeeze=False, sharey=True)[0]
        for axis, (method, one) in zip(axes, measured.items()):
            picture = axis.imshow(one.deviations[:, used].T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
            axis.set_title(f"{method}: worst {one.worst(_folds(one))[0]:.1f}")
            axis.set_xticks(range(len(one.parts)), [part.removeprefix("fold ") for part in one.parts], rotation=90)
            axis.set_xlabel("fold")
        axes[0].set_yticks(range(len(labels)), labels, fontsize=7)
        figure.colorbar(picture, ax=axes, label="points above or below all training photos", shrink=0.7)
    return figure
