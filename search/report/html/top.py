"""The top of the report: what came out, what to expect of it, and what it has cost."""

from typing import Any

from ensembling.assessment.bootstrap import Interval
from ensembling.runs.ensemble import EnsembleRecord
from search.report.durations import duration
from search.report.end_of_search import recommendation
from search.report.ensemble_report import vote_rows, words_on_other_images
from search.report.html.charts import Section, figure
from search.report.record.gather import Report
from search.report.record.study_record import UNFINISHED


def section(report: Report) -> Section:
    """Return the sentence that leads, the figures to remember and the votes that were compared."""
    ensemble = report.study.ensemble
    advice = recommendation(ensemble) if ensemble else ""
    context = {"headline": headline(report), "advice": advice}
    context |= {"tiles": _tiles(report), "lacks": report.lacks, "spent": _spent(report)}
    if ensemble is None:
        return Section("Result", "top.html", {**context, "warnings": "", "rows": []})
    rows = vote_rows(ensemble)
    return Section(
        "Result",
        "top.html",
        {**context, "warnings": words_on_other_images(ensemble), "rows": rows},
        {"votes": _votes(ensemble, rows)},
    )


def headline(report: Report) -> str:
    """Return one sentence: who votes and what it scores, or how far the search is."""
    study, ensemble = report.study, report.study.ensemble
    if ensemble is None:
        best = (
            f"the best so far is trial {study.best.number} with {study.best.best:.4f}" if study.best else "no score yet"
        )
        ended = sum(trial.status != UNFINISHED for trial in study.trials)
        if study.is_refit:
            return (
                f"The members of {study.settings['ensemble']} are trained again on all labelled photos: {ended} of "
                f"the {len(study.trials)} models that have begun have ended."
            )
        return (
            f"There is no vote yet: {ended} of the {len(study.trials)} trials that have begun have ended, and {best}."
        )
    number = len(ensemble.members)
    gain = 100 * (ensemble.miou - ensemble.candidates[0].miou)
    who = f"The vote of {number} runs" if number > 1 else "The best run alone"
    beats = f", {gain:.2f} points above the best single run" if number > 1 else ""
    return f"{who} scores {ensemble.miou:.4f} mIoU on the {ensemble.holdout_images} holdout photos{beats}."


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    """Return what to remember: labels, figures, and what they mean."""
    study, ensemble, spent = report.study, report.study.ensemble, report.spent
    tiles = []
    if ensemble:
        members = ", ".join(str(member.trial) for member in ensemble.members)
        tiles.append(
            (
                "Vote",
                f"{ensemble.miou:.4f}",
                f"trial{'s' if len(ensemble.members) > 1 else ''} {members}" if len(members) < 60 else "members below",
            )
        )
        if ensemble.crossfit_miou is not None:
            interval = ensemble.crossfit_interval
            between = "too few scenes for an interval"
            if interval.low is not None:
                between = f"95 % from {interval.low:.3f} to {interval.high:.3f}"
            tiles.append(("Expected on new photos", f"{ensemble.crossfit_miou:.4f}", f"cross-fitted; {between}"))
    if study.best:
        tiles.append(("Best single run", f"{study.best.best:.4f}", f"trial {study.best.number}"))
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(spent.statuses.items()))
    tiles.append(("Trials", str(len(study.trials)), statuses))
    tiles.append(("Training", duration(3600 * spent.hours), f"{spent.epochs} epochs" + _gpu_words(spent.gpu_hours)))
    if spent.full_epochs > spent.epochs:
        would = f"training all trials to their end would have taken {duration(3600 * spent.full_hours)}"
        tiles.append(("Saved by stopping early", f"{100 * spent.saved:.0f} %", would))
    return tiles


def _gpu_words(hours: float | None) -> str:
    return "" if not hours else f", {hours:.1f} GPU hours"


def _spent(report: Report) -> str:
    spent = report.spent
    trained = f"{len(report.study.trials)} trials trained {spent.epochs} epochs"
    words = f"{trained} in {duration(3600 * spent.hours)} of training{_gpu_words(spent.gpu_hours)}"
    if spent.full_epochs == spent.epochs:
        return f"{words}. No trial was stopped early."
    return (
        f"{words}. Trained to their end, they would have taken {spent.full_epochs} epochs and about "
        f"{duration(3600 * spent.full_hours)}: stopping early saved {100 * spent.saved:.0f} %."
    )


def _votes(ensemble: EnsembleRecord, rows: list[tuple[str, int, float, float | None]]) -> dict[str, Any]:
    labels = [f"{label} ({runs})" if label not in ("best single",) else label for label, runs, *_ in rows]
    intervals = [None] * len(ensemble.baselines) + [ensemble.miou_interval, ensemble.crossfit_interval]
    ends = [
        one if one and one.low is not None else Interval(miou, low=miou, high=miou)
        for one, (_, _, miou, _) in zip(intervals, rows)
    ]
    values = [miou for _, _, miou, _ in rows]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": labels,
        "marker": {"size": 11, "color": ["$orange" if label.startswith("selected") else "$blue" for label in labels]},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [end.high - value for end, value in zip(ends, values)],
            "arrayminus": [value - end.low for end, value in zip(ends, values)],
            "color": "$muted",
        },
        "hovertemplate": "%{y}: %{x:.4f}<extra></extra>",
    }
    yaxis = {"autorange": "reversed", "title": {"text": ""}}
    return figure([trace], x="mIoU on the holdout", y="", height=90 + 34 * len(rows), yaxis=yaxis)
