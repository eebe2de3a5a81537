"""The ensemble: how its members were selected, how diverse they are, and which classes it gets right."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ensembling.runs.ensemble import EnsembleRecord
from search.report.html.charts import Section, figure, rounded
from search.report.html.trials import show
from search.report.record.gather import Report
from search.report.record.study_record import StudyRecord, TrialRecord

SHOWN_PARAMS = ("head", "backbone", "loss", "optimizer", "lr", "schedule", "augmentation", "fold", "image_size")


def section(report: Report) -> Section | None:
    """Return the tables of the ensemble; None before there is one."""
    study, ensemble = report.study, report.study.ensemble
    if ensemble is None:
        return None
    trials = {trial.number: trial for trial in study.trials}
    members = [(member, trials[member.trial]) for member in ensemble.members]
    shown = [key for key in SHOWN_PARAMS if any(key in trial.params for _, trial in members)]
    context = {
        "members": members,
        "params": [[show(trial.params.get(key)) for key in shown] for _, trial in members],
        "shown_params": shown,
        "classes": _classes(study, ensemble, [trial for _, trial in members]),
        "pairs": _pairs(ensemble),
        "most": max(value for row in ensemble.disagreement for value in row),
        "confusion": _confusion(report, study.class_names),
    }
    return Section("The ensemble", "ensemble.html", context, {"path": _path(ensemble)})


def _path(ensemble: EnsembleRecord) -> dict[str, Any]:
    """Return the chart of what each further member adds, beside votes of the best k runs."""
    names = {candidate.run_id: candidate.trial for candidate in ensemble.candidates}
    path, top = ensemble.path_miou, ensemble.topk_miou
    steps = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "path of the selection",
        "line": {"color": "$orange", "width": 3},
        "x": list(range(1, len(path) + 1)),
        "y": [rounded(miou) for miou in path],
        "customdata": [names.get(run_id) for run_id in ensemble.path],
    }
    best = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "vote of the best k runs",
        "line": {"color": "$muted", "width": 1.5},
        "marker": {"size": 4},
        "x": list(range(1, len(top) + 1)),
        "y": [rounded(miou) for miou in top],
        "hovertemplate": "best %{x} runs: %{y:.4f}<extra></extra>",
    }
    size = len(ensemble.members)
    chosen = {"type": "line", "x0": size, "x1": size, "yref": "paper", "y0": 0, "y1": 1, "line": {"dash": "dash"}}
    note = {"x": size, "y": 1, "yref": "paper", "yanchor": "top", "xanchor": "left", "text": " selected"}
    xaxis = {"rangemode": "tozero", "range": [0.5, max(len(path), min(len(top), 2 * len(path))) + 0.5]}
    notes = [{**note, "showarrow": False}]
    return figure([best, steps], x="members", y="holdout mIoU", xaxis=xaxis, shapes=[chosen], annotations=notes)


def _classes(study: StudyRecord, ensemble: EnsembleRecord, members: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Return for each class the IoU of every member and of the vote, and the vote's gain over the first member."""
    rows = []
    for name in study.class_names:
        alone = [trial.best_record.get(f"holdout/iou/{name}") for trial in members]
        vote = ensemble.iou.get(name)
        known = [iou for iou in alone if iou is not None]
        gain = None if vote is None or not known else vote - known[0]
        rows.append({"name": name, "members": alone, "vote": vote, "gain": gain})
    return rows


def _pairs(ensemble: EnsembleRecord) -> list[list[float | None]]:
    """Return how often two members predict different classes; None for a member beside itself."""
    values = ensemble.disagreement
    return [[None if i == j else value for j, value in enumerate(row)] for i, row in enumerate(values)]


def _confusion(report: Report, class_names: Sequence[str]) -> list[dict[str, Any]] | None:
    """Return the vote's confusion as shares of its rows: what pixels of each class were taken for."""
    if report.votes is None:
        return None
    counts = report.votes.confusion
    totals = counts.sum(axis=1)
    shares = np.divide(counts, totals[:, None], out=np.zeros(counts.shape), where=totals[:, None] > 0)
    occurs = (totals + counts.sum(axis=0)) > 0
    return [
        {"name": class_names[index], "index": index, "pixels": int(totals[index]), "shares": shares[index].tolist()}
        for index in np.flatnonzero(occurs).tolist()
    ]
