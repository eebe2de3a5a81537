"""All trials: a table, and what the page shows of a trial that is clicked."""

from typing import Any

from search.report.html.charts import Section, rounded
from search.report.record.factors import in_words
from search.report.record.gather import Report
from search.report.record.study_record import TrialRecord

SHOWN_PARAMS = ("head", "backbone", "loss", "optimizer", "lr", "fold")


def section(report: Report) -> Section:
    """Return the table of trials, the best first; failed ones and those without a score last."""
    study = report.study
    order = sorted(study.trials, key=lambda trial: (-(trial.best if trial.best is not None else -1), trial.number))
    params = [key for key in SHOWN_PARAMS if key in study.factors] or list(SHOWN_PARAMS[:3])
    rows = [(index, trial, [show(trial.params.get(key)) for key in params]) for index, trial in enumerate(order, 1)]
    return Section("All trials", "trials.html", {"rows": rows, "params": params, "members": study.members})


def details(report: Report) -> dict[int, dict[str, Any]]:
    """Return what the page knows of each trial, by number: its label, configuration, curve and command."""
    return {trial.number: _details(report, trial) for trial in report.study.trials}


def _details(report: Report, trial: TrialRecord) -> dict[str, Any]:
    factors = report.study.factors
    best = f"{trial.best:.4f} at epoch {trial.best_epoch}" if trial.best is not None else "no score"
    label = " ".join(show(trial.params.get(key)) for key in SHOWN_PARAMS[:3] if key in trial.params)
    return {
        "name": trial.name,
        "label": f"trial {trial.number}: {label}, best {best}",
        "status": how_it_ended(trial),
        "best": best,
        "vote": f"votes, at rank {report.study.members[trial.number]}" if trial.number in report.study.members else "",
        "varied": {key: show(trial.params[key]) for key in factors if key in trial.params},
        "same": {key: show(value) for key, value in trial.params.items() if key not in factors},
        "scores": [rounded(score) for score in trial.scores],
        "losses": [rounded(record.get("train/loss")) for record in trial.records],
        "command": trial.command,
        "run": report.registered.runs.get(trial.number, ""),
    }


def how_it_ended(trial: TrialRecord) -> str:
    """Return one sentence's worth of how the trial ended."""
    epochs = f"{len(trial.records)} of {trial.epochs} epochs"
    if trial.status == "failed":
        return f"failed after {epochs}: {trial.failure}"
    words = {"completed": "trained to its end", "stopped": "stopped early", "unfinished": "not ended"}
    return f"{words[trial.status]}, {epochs}"


def show(value: Any) -> str:
    """Return a parameter's value as people write it."""
    return "–" if value is None else in_words(value)
