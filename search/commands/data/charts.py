"""The charts of the data report, drawn by Matplotlib once for the page (SVG) and once as files (PNG)."""

import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from trainables.data.exploration import counts as counting
from trainables.data.exploration.table import Table

INK = "#1f2328"  # of text and axes; the page puts its own colour of text in its place
BARS = ("#4c86c6", "#d9822b", "#3f9e6b")
WIDTH = 5.2  # inches: narrow, so that the page shows two side by side and a telephone shows one
ROW = 0.22  # inches a class
MOST_IN_MATRIX = 25  # classes; the JSON file has them all
LONGEST_LABEL = 30  # characters of the name of a class
FEW_VALUES = 40  # up to which each has a bar of its own
STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "segvote",
    "text.parse_math": False,  # a class may be called "$5 or $10"
}


def draw(table: Table, numbers: dict[str, Any]) -> dict[str, Figure]:
    """Return the charts by name."""
    with rc_context(STYLE):
        return {name: chart(table, numbers) for name, chart in CHARTS.items()}


def as_svg(figure: Figure) -> str:
    """Return the chart as an SVG element with text as text, in the colour of the text around it."""
    stream = io.StringIO()
    with _drawing():
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def as_png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with _drawing():
        figure.savefig(stream, format="png", dpi=150, facecolor="white")
    return stream.getvalue()


@contextmanager
def _drawing() -> Iterator[None]:
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of a script that no font here has; boxes are drawn
        yield


def labels_of(names: Iterable[str]) -> list[str]:
    """Return the names of classes as charts show them: long ones are cut, which leaves the bars their room."""
    return [name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…" for name in names]


def _figure(rows: float, columns: int = 1, **more: Any) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, rows), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False, **more)[0]


def _class_rows(numbers: dict[str, Any]) -> float:
    return 0.8 + ROW * len(numbers["classes"])


def _classes(table: Table, numbers: dict[str, Any]) -> Figure:
    figure, axes = _figure(_class_rows(numbers), 3, sharey=True)
    positions = np.arange(len(numbers["classes"]))
    for axis, key, title, colour in zip(
        axes, ("annotation", "image", "pixel"), ("annotations", "images", "pixels"), BARS
    ):
        shares = [100 * one[f"{key}_share"] for one in numbers["classes"]]
        axis.barh(positions, shares, color=colour)
        axis.set_title(f"% of {title}")
        for position, share in zip(positions, shares):
            axis.text(share, position, f" {share:.1f}" if share else " none", va="center", fontsize=7)
        axis.set_xlim(0, max(*shares, 0.1) * 1.35)
    axes[0].set_yticks(positions, labels_of(table.names))
    axes[0].set_ylim(len(positions) - 0.4, -0.6)
    return figure


def _splits(table: Table, numbers: dict[str, Any]) -> Figure:
    figure, (axis,) = _figure(_class_rows(numbers))
    splits = {name: its for name, its in numbers["splits"].items() if its["annotations"]}
    positions = np.arange(len(numbers["classes"]))
    height = 0.8 / max(1, len(splits))
    for number, (name, its) in enumerate(splits.items()):
        shares = 100 * np.array(its["annotations_by_class"]) / its["annotations"]
        axis.barh(positions + number * height, shares, height, color=BARS[number], label=name)
    axis.set_yticks(positions + height * (len(splits) - 1) / 2, labels_of(table.names))
    axis.set_ylim(len(positions) - 0.2, -0.6)
    axis.set_xlabel("% of the file's annotations")
    axis.legend(frameon=False, ncols=len(splits), loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    return figure


def _areas(table: Table, numbers: dict[str, Any]) -> Figure:
    figure, (axis,) = _figure(_class_rows(numbers))
    boxes = []
    for number, name in enumerate(labels_of(table.names)):
        own = table.area[table.category == number]
        low, first, median, third, high = np.percentile(own, counting.AREA_PERCENTILES) if own.size else [np.nan] * 5
        boxes.append(
            {"label": name, "whislo": low, "q1": first, "med": median, "q3": third, "whishi": high, "fliers": []}
        )
    line = {"color": INK, "linewidth": 0.8}
    style = {"boxprops": {"facecolor": BARS[0], "edgecolor": INK, "linewidth": 0.8}, "medianprops": line}
    style |= {"whiskerprops": line, "capprops": line}
    axis.bxp(boxes, orientation="horizontal", patch_artist=True, showfliers=False, **style)
    axis.set_xscale("log")
    # Matplotlib writes powers of ten as formulas, which STYLE does not set.
    axis.xaxis.set_major_formatter(_grouped)
    low, high = axis.get_xlim()
    one_decade = high < 10 * low  # there may be no power of ten on it
    axis.xaxis.set_minor_formatter(lambda area, _: _grouped(area) if one_decade and str(area)[0] in "25" else "")
    axis.invert_yaxis()
    axis.set_xlabel("pixels of an annotation; 5, 25, 50, 75 and 95 % of them are smaller")
    return figure


def _grouped(number: float, _: Any = None) -> str:
    return f"{number:,.10g}"


def _images(table: Table, numbers: dict[str, Any]) -> Figure:
    figure, axes = _figure(2.4, 3)
    shown = table.labelled
    _bars(axes[0], counting.annotations_per_image(table)[shown], "annotations", BARS[0])
    _bars(axes[1], counting.classes_per_image(table)[shown], "classes", BARS[1])
    axes[2].hist(100 * counting.labelled_share(table)[shown], bins=20, range=(0, 100), color=BARS[2])
    axes[2].set_xlabel("% labelled")
    axes[0].set_ylabel("images")
    return figure


def _bars(axis: Any, values: np.ndarray, label: str, colour: str) -> None:
    most = int(values.max(initial=0))
    bins = np.arange(most + 2) - 0.5 if most <= FEW_VALUES else FEW_VALUES
    axis.hist(values, bins=bins, color=colour)
    axis.set_xlabel(label)
    axis.xaxis.get_major_locator().set_params(integer=True)


def _cooccurrence(table: Table, numbers: dict[str, Any]) -> Figure:
    counts = np.array(numbers["cooccurrence"], float)
    chosen = np.sort(np.argsort(-np.diag(counts), kind="stable")[:MOST_IN_MATRIX])
    counts = counts[np.ix_(chosen, chosen)]
    own = np.maximum(np.diag(counts), 1)[:, None]
    shares = np.where(np.eye(len(chosen), dtype=bool), np.nan, 100 * counts / own)
    figure, (axis,) = _figure(1.6 + 0.2 * len(chosen))
    picture = axis.imshow(shares, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    names = labels_of(table.names[index] for index in chosen)
    axis.set_xticks(range(len(names)), names, rotation=90)
    axis.set_yticks(range(len(names)), names)
    if len(names) <= 12:
        for row, column in np.argwhere(~np.isnan(shares)).tolist():
            colour = "black" if shares[row, column] > 60 else "white"
            axis.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(picture, ax=axis, label="% of the row's images that have both", shrink=0.8)
    return figure


def _sizes(table: Table, numbers: dict[str, Any]) -> Figure:
    figure, (axis,) = _figure(2.8)
    sizes = numbers["sizes"]
    width, height, images = (np.array([one[key] for one in sizes]) for key in ("width", "height", "images"))
    axis.scatter(width, height, 20 + 300 * images / images.max(), color=BARS[0], alpha=0.6, edgecolor="none")
    axis.set_xlim(0, width.max() * 1.15)
    axis.set_ylim(0, height.max() * 1.15)
    for one in sizes[:3]:
        text, at = f"{one['width']}x{one['height']}: {one['images']}", (one["width"], one["height"])
        axis.annotate(text, at, (-10, -4), textcoords="offset points", ha="right", va="top", fontsize=7)
    axis.set_xlabel("width in pixels")
    axis.set_ylabel("height in pixels")
    return figure


def _hidden(table: Table, numbers: dict[str, Any]) -> Figure:
    figure, axes = _figure(max(2.4, _class_rows(numbers)), 2)
    hidden = 100 * table.hidden
    if hidden.any():
        axes[0].hist(hidden[hidden > 0], bins=20, range=(0, 100), color=BARS[0])
    else:
        axes[0].text(0.5, 0.5, "none is hidden", ha="center", transform=axes[0].transAxes)
        axes[0].set_yticks([])
    axes[0].set_xlim(0, 100)
    axes[0].set_xlabel("% hidden, where any is")
    axes[0].set_ylabel("annotations")
    positions = np.arange(len(numbers["classes"]))
    shares = [100 * one["mostly_hidden"] / max(1, one["annotations"]) for one in numbers["classes"]]
    axes[1].barh(positions, shares, color=BARS[1])
    if not any(shares):
        axes[1].text(0.5, 0.5, "none is mostly hidden", ha="center", transform=axes[1].transAxes)
    axes[1].set_yticks(positions, labels_of(table.names))
    axes[1].set_ylim(len(positions) - 0.4, -0.6)
    axes[1].set_xlim(0, max(*shares, 1.0) * 1.1)
    axes[1].set_xlabel("% that are mostly hidden")
    return figure


CHARTS: dict[str, Callable[[Table, dict[str, Any]], Figure]] = {
    "classes": _classes,
    "splits": _splits,
    "areas": _areas,
    "per_image": _images,
    "cooccurrence": _cooccurrence,
    "sizes": _sizes,
    "hidden": _hidden,
}
