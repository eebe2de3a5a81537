"""Which choices went with high scores: parallel coordinates, importances, and the scores of each factor's values."""

import math
from typing import Any

from search.report.html.charts import SHADES, Section, figure, lines, points, rounded, shade, spread
from search.report.record.factors import in_words, is_range, scores_by_fold, scores_by_value
from search.report.record.gather import Report
from search.report.record.study_record import StudyRecord, TrialRecord

AXES = 7  # factors that parallel coordinates show, the most important ones
NOT_FACTORS = ("fold", "seed")  # what trials are repeated over; the fold has a part of its own
FEWEST = 4  # trials; with fewer there is nothing to see


def section(report: Report) -> Section | None:
    """Return the charts of the factors; None where nothing was varied, or too few trials have a score.

    None in a grid, too: its pairs say more.
    """
    study = report.study
    factors = _by_importance(report)
    if not factors or len(study.scored) < FEWEST or study.settings.get("grid"):
        return None
    figures = {"parallel": _parallel(study, factors[:AXES])}
    if report.importances:
        figures["importance"] = _importance(report)
    tables = []
    for index, factor in enumerate(factors):
        figures[f"factor-{index}"] = _strip(study, factor)
        tables.append((factor, f"factor-{index}", scores_by_value(study, factor)))
    context = {
        "tables": tables,
        "folds": scores_by_fold(study),
        "epoch": study.common_epoch,
        "importances": report.importances,
        "trials": len(study.scored),
    }
    return Section("What helped", "factors.html", context, figures)


def _by_importance(report: Report) -> list[str]:
    """Return the factors, the most important ones first where that is known."""
    factors = [key for key in report.study.factors if key not in NOT_FACTORS]
    shares = report.importances[0].shares if report.importances else {}
    known = {key: _share(shares, key) for key in factors}
    return sorted(factors, key=lambda key: -known[key])


def _share(shares: dict[str, float], factor: str) -> float:
    """Return the importance of a parameter: its own, or that of what it was drawn as, such as adamw_lr for lr."""
    return shares.get(factor, max((share for key, share in shares.items() if key.endswith(f"_{factor}")), default=0.0))


def _importance(report: Report) -> dict[str, Any]:
    order = sorted(report.importances[0].shares, key=report.importances[0].shares.get)
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": f"{one.evaluator}, score at epoch {one.epoch} of {one.trials} trials",
            "y": [key for key in order if key in one.shares],
            "x": [rounded(one.shares[key]) for key in order if key in one.shares],
            "marker": {"color": colour},
            "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
        }
        for one, colour in zip(report.importances, ("$blue", "$orange", "$green"))
    ]
    axes = {"xaxis": {"tickformat": ".0%", "rangemode": "tozero"}, "bargap": 0.25}
    return figure(traces, x="share of the importance", y="", height=150 + 44 * len(order), **axes)


class _Axis:
    """A factor as a scale from 0 to 1, with its ticks."""

    def __init__(self, study: StudyRecord, factor: str) -> None:
        self.factor, self._values = factor, study.factors[factor]
        self._range = is_range(self._values)
        if self._range:
            low, high = float(self._values[0]), float(self._values[-1])
            self.log = low > 0 and high / low > 10
            self._low, self._high = self._scaled(low), self._scaled(high)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else float(value)

    def place(self, trial: TrialRecord) -> float | None:
        """Return where the trial's value lies, with trials of one value a little apart; None where it has none."""
        if self.factor not in trial.params:
            return None
        value = trial.params[self.factor]
        if self._range:
            return (self._scaled(float(value)) - self._low) / (self._high - self._low)
        step = 1 / max(1, len(self._values) - 1)
        return self._values.index(value) * step + spread(trial.number) * step / 2.5

    def ticks(self) -> list[tuple[float, str]]:
        if self._range:
            return [(0.0, f"{self._values[0]:.2g}"), (1.0, f"{self._values[-1]:.2g}")]
        step = 1 / max(1, len(self._values) - 1)
        return [(index * step, in_words(value)) for index, value in enumerate(self._values)]


def _parallel(study: StudyRecord, factors: list[str]) -> dict[str, Any]:
    """Return a chart with a line for each trial through its values, coloured by its score, that can be clicked."""
    axes = [_Axis(study, factor) for factor in factors]
    low, high = (choose(trial.best for trial in study.scored) for choose in (min, max))
    groups: dict[int, list[TrialRecord]] = {level: [] for level in range(SHADES)}
    for trial in study.scored:
        groups[shade(trial.best, low, high)].append(trial)
    traces = []
    for level, trials in groups.items():
        ys = [[*(axis.place(trial) for axis in axes), (trial.best - low) / ((high - low) or 1)] for trial in trials]
        between = [low + (high - low) * part / SHADES for part in (level, level + 1)]
        name = f"{between[0]:.3f}–{between[1]:.3f}"
        style = {"line": {"color": f"$scale{level}", "width": 1 + level / 3}, "mode": "lines+markers"}
        style |= {"opacity": 0.35 + 0.6 * level / (SHADES - 1), "marker": {"size": 4}, "hovertemplate": "%{text}"}
        if trials:
            traces.append(lines(trials, [range(len(axes) + 1)] * len(trials), ys, name=name, **style))
    ticks = [(index, *tick) for index, axis in enumerate(axes) for tick in axis.ticks()]
    ticks += [(len(axes), 0.0, f"{low:.3f}"), (len(axes), 1.0, f"{high:.3f}")]
    texts = [
        {"x": x, "y": y, "text": text, "showarrow": False, "xanchor": "left", "xshift": 5, "bgcolor": "$veil"}
        for x, y, text in ticks
    ]
    uprights = [
        {"type": "line", "x0": x, "x1": x, "y0": -0.05, "y1": 1.05, "line": {"width": 1, "color": "$muted"}}
        for x in range(len(axes) + 1)
    ]
    xaxis = {"tickvals": list(range(len(axes) + 1)), "ticktext": [*factors, "best mIoU"], "showgrid": False}
    xaxis |= {"range": [-0.2, len(axes) + 0.5], "side": "top", "zeroline": False}
    yaxis = {"visible": False, "range": [-0.12, 1.12]}
    legend = {"orientation": "h", "y": -0.02, "yanchor": "top", "title": {"text": "mIoU "}}
    return figure(
        traces, x="", y="", height=520, xaxis=xaxis, yaxis=yaxis, annotations=texts, shapes=uprights, legend=legend
    )


def _strip(study: StudyRecord, factor: str) -> dict[str, Any]:
    """Return the chart of every trial's score, at the epoch that all came to, over the factor's value."""
    trials = [one for one in study.scored if factor in one.params and one.best_until(study.common_epoch) is not None]
    values = study.factors[factor]
    if is_range(values):
        xs = [trial.params[factor] for trial in trials]
        log = float(values[0]) > 0 and float(values[-1]) / float(values[0]) > 10
        xaxis: dict[str, Any] = {"type": "log", "dtick": 1, "exponentformat": "e"} if log else {}
    else:
        xs = [values.index(trial.params[factor]) + spread(trial.number) for trial in trials]
        xaxis = {"tickvals": list(range(len(values))), "ticktext": [in_words(value) for value in values]}
        xaxis |= {"range": [-0.6, len(values) - 0.4]}
    finished = [trial.status == "completed" for trial in trials]
    kinds = (("trained to its end", True, "$blue", "circle"), ("stopped early", False, "$muted", "circle-open"))
    traces = []
    for name, wanted, colour, symbol in kinds:
        some = [(trial, x) for trial, x, done in zip(trials, xs, finished) if done is wanted]
        if some:
            traces.append(
                points(
                    [trial for trial, _ in some],
                    [rounded(x) for _, x in some],
                    [trial.best_until(study.common_epoch) for trial, _ in some],
                    name=name,
                    marker={"size": 7, "color": colour, "symbol": symbol},
                )
            )
    return figure(traces, x=factor, y=f"mIoU by epoch {study.common_epoch}", height=300, xaxis=xaxis)
