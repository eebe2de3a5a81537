"""Charts as plotly.js takes them: plain dictionaries. Colours that begin with $ are the page's own, light or dark."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.report.record.study_record import TrialRecord

SHADES = 7  # of the page's scale from low to high: $scale0 … $scale6
GAP = None  # between the lines of one trace
DIGITS = 5


@dataclass(frozen=True)
class Section:
    """A part of the page: its template's name, what the template is given, and its charts by name."""

    title: str
    template: str
    context: dict[str, Any]
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)


def figure(traces: list[dict[str, Any]], *, x: str, y: str, height: int = 360, **layout: Any) -> dict[str, Any]:
    """Return a chart with titled axes; `layout` is merged into plotly's, axes key by key."""
    axes = {
        name: {"title": {"text": title, "standoff": 8}, "automargin": True, **layout.pop(name, {})}
        for name, title in (("xaxis", x), ("yaxis", y))
    }
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    return {"data": traces, "layout": {"height": height, "legend": legend, **axes, **layout}}


def points(
    trials: Sequence[TrialRecord], x: Iterable[Any], y: Iterable[Any], *, name: str, **style: Any
) -> dict[str, Any]:
    """Return a trace of one point a trial, which shows the trial when it is hovered over or clicked.

    Args:
        trials: The trials.
        x: The horizontal position of each.
        y: The vertical position of each.
        name: The name of the trace in the legend.
    """
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(x),
        "y": [rounded(value) for value in y],
        "customdata": [trial.number for trial in trials],
        **style,
    }


def lines(
    trials: Sequence[TrialRecord], xs: Iterable[Sequence[Any]], ys: Iterable[Sequence[Any]], *, name: str, **style: Any
) -> dict[str, Any]:
    """Return one trace that holds a line for each trial: one trace is drawn faster than hundreds.

    Args:
        trials: The trials.
        xs: The horizontal positions of each trial's line.
        ys: The vertical positions of each trial's line.
        name: The name of the trace in the legend.
    """
    x, y, numbers = [], [], []
    for trial, along, up in zip(trials, xs, ys):
        x += [*along, GAP]
        y += [*(rounded(value) for value in up), GAP]
        numbers += [trial.number] * (len(along) + 1)
    own = {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "customdata": numbers}
    return {**own, "connectgaps": False, **style}


def rounded(value: float | None) -> float | None:
    """Return the value as far as a chart shows it; None for what is no number, which leaves a gap."""
    return None if value is None or not math.isfinite(value) else round(value, DIGITS)


def shade(value: float, low: float, high: float) -> int:
    """Return the place of `value` between `low` and `high` on the page's scale, 0 to SHADES - 1."""
    return min(SHADES - 1, int(SHADES * (value - low) / (high - low))) if high > low else SHADES - 1


def spread(number: int) -> float:
    """Return where a trial's point lies beside the middle of its column, from -0.25 to 0.25: always the same."""
    return (number * 0.618034 % 1 - 0.5) / 2
