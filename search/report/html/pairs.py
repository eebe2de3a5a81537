"""One factor at a time: what changing a single parameter did, in pairs of trials that are otherwise the same."""

from typing import Any

from search.report.html.charts import Section, figure
from search.report.record.gather import Report
from search.report.record.pairs import Comparison


def section(report: Report) -> Section | None:
    """Return a table and a chart for each factor; None where no two trials differ in one parameter alone."""
    if not report.comparisons:
        return None
    figures = {
        f"pairs-{index}": _differences(comparison)
        for index, comparison in enumerate(report.comparisons)
        if any(one.low is not None for one in comparison.differences)
    }
    tables = [(f"pairs-{index}", comparison) for index, comparison in enumerate(report.comparisons)]
    context = {"comparisons": tables, "figures": figures.keys(), "grid": report.study.settings.get("grid") or []}
    return Section("One factor at a time", "pairs.html", context, figures)


def _differences(comparison: Comparison) -> dict[str, Any]:
    known = [one for one in comparison.differences if one.low is not None]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [round(100 * one.mean, 3) for one in known],
        "y": [str(one.value) for one in known],
        "marker": {"size": 11, "color": "$blue"},
        "error_x": {
            "type": "data",
            "array": [round(100 * (one.high - one.mean), 3) for one in known],
            "color": "$muted",
        },
        "hovertemplate": "%{y}: %{x:+.2f} points<extra></extra>",
    }
    yaxis = {"type": "category", "autorange": "reversed"}
    title = f"points of mIoU above {comparison.factor} = {comparison.reference}"
    xaxis = {"zeroline": True, "zerolinewidth": 2}
    return figure([trace], x=title, y="", height=110 + 34 * len(known), xaxis=xaxis, yaxis=yaxis)
