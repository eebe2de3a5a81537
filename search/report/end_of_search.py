"""The last screen of a search: all trials in a table, one recommendation, and the commands that come next."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ensembling.runs.ensemble import EnsembleRecord, ListedMember, ListedRun
from search.report.console import PlainTable, say
from search.study.place_flags import place_flags
from search.study.study import Study
from trainables.config import TrialConfig
from trainables.trial.files import TrialFiles, Verdict

WEAK = 0.6  # a member that scores less than this share of the best one needs an explanation
NO_SCORE = "–"
MODEL = ("head", "backbone", "loss")
OTHER_COLUMNS = 67  # characters of a row of the table of trials beside the model


def show_trials(console: Console, study: Study) -> None:
    """Show every trial that was begun, the best first: what it was, how far it came, and why it ended."""
    rows = trial_rows(study)
    headings = (">rank", "head, backbone, loss", ">best epoch", ">mIoU", "why it ended", ">trial")
    table = PlainTable(f"All trials of {study.name} (trial 1 is called {study.name}-0001)", *headings)
    models = [row[1] for row in rows]
    longest_word = max((len(word) for model in models for word in model.split()), default=0)
    longest_model = max(map(len, models), default=0)
    # No name is broken in two; where a model does not fit beside the other columns, its names are on several lines.
    table.columns[1].width = max(longest_word, min(longest_model, console.width - OTHER_COLUMNS))
    for row in rows:
        table.add_row(*row)
    console.print(table)


def trial_rows(study: Study) -> list[tuple[str, ...]]:
    """Return the cells of the table: `ranked_trials` in words."""
    return [
        (
            str(one["rank"] or NO_SCORE),
            " ".join([*(one[key] for key in MODEL), *(f"{key}={value}" for key, value in one["varied"].items())]),
            f"{one['best_epoch']} of {one['epochs']}" if one["best_epoch"] else NO_SCORE,
            NO_SCORE if one["miou"] is None else f"{one['miou']:.4f}",
            one["why_it_ended"],
            str(one["trial"]),
        )
        for one in ranked_trials(study)
    ]


def ranked_trials(study: Study) -> list[dict[str, Any]]:
    """Return every trial that was begun, sorted by score on the holdout; trials without one come last.

    `rank`, `miou` and `best_epoch` are None where it has no score, or no epoch. A trial that failed cannot vote, and
    has no score here whatever its epochs scored. `varied` says by what else the trials of a grid differ.
    """
    configs = {files: files.read_config() for files in study.trials() if files.config.exists()}
    varied = _varied([*configs.values()]) if study.manifest["settings"].get("grid") else []
    begun = [_described(files, config, varied, study) for files, config in configs.items()]
    begun.sort(key=lambda one: (-(one["miou"] if one["miou"] is not None else -1.0), one["trial"]))
    return [{"rank": rank if one["miou"] is not None else None} | one for rank, one in enumerate(begun, start=1)]


def _varied(configs: Sequence[TrialConfig]) -> list[str]:
    """Return the fields beside head, backbone and loss by which the configurations differ."""
    values = [config.to_dict() for config in configs]
    return [key for key in values[0] if key not in MODEL and len({one[key] for one in values}) > 1] if values else []


def _described(files: TrialFiles, config: TrialConfig, varied: Sequence[str], study: Study) -> dict[str, Any]:
    records = files.records()
    kept, verdict = study.data.kept(records), files.read_verdict()
    return {
        "trial": files.number,
        "name": f"{study.name}-{files.number:04d}",
        **{key: getattr(config, key) for key in MODEL},
        "varied": {key: getattr(config, key) for key in varied},
        "epochs": config.epochs,
        "best_epoch": kept["epoch"] if kept else None,
        "miou": None if verdict and verdict["failure"] else study.data.kept_score(records),
        "why_it_ended": _why_it_ended(verdict),
    }


def _why_it_ended(verdict: Verdict | None) -> str:
    if verdict is None:
        return "goes on with --resume"
    if verdict["failure"]:
        return f"failed: {verdict['failure']}"
    return "completed" if verdict["status"] == "completed" else f"stopped at epoch {verdict['epochs']}"


def search_result(
    study: Study, ensemble: EnsembleRecord | None, runs_dir: Path, tracking_uri: str | None
) -> dict[str, Any]:
    """Return what the end of a search shows, as plain values for programs.

    Args:
        study: The study.
        ensemble: Its ensemble; None where no trial has predictions, so that the result has no vote.
        runs_dir: The runs directory, for the commands that come next.
        tracking_uri: The address of MLflow's store if one was given, likewise.
    """
    return {
        "study": study.name,
        "directory": str(study.directory),
        "trials": ranked_trials(study),
        "ensemble": ensemble and ensemble.to_json(),
        "recommendation": recommendation(ensemble) if ensemble else None,
        "next": next_commands(study, runs_dir, tracking_uri) if ensemble else [],
    }


def recommendation(ensemble: EnsembleRecord) -> str:
    """Return what to submit, in a sentence, and why members that are far below the best one vote."""
    members, best = ensemble.members, ensemble.candidates[0]
    names = ", ".join(member.name for member in members)
    gain = (ensemble.crossfit_gains or ensemble.gains or {}).get("best_single")
    if len(members) == 1 and members[0].run_id == best.run_id:
        words = f"Submit the best single run, {best.name}: no vote scores higher on this holdout."
    elif gain and gain.standard_error is None:
        words = (
            f"The holdout is too small to tell the vote of these {len(members)} from the best single run, "
            f"{best.name}: {names}."
        )
    elif gain and gain.value > gain.standard_error:
        words = f"Submit the vote of these {len(members)}: {names}."
    elif gain and gain.value < -gain.standard_error:
        words = (
            f"Submit the best single run, {best.name}: on photos on which it was not selected, the vote of "
            f"{len(members)} scores lower by more than the standard error."
        )
    else:
        words = (
            f"The best single run, {best.name}, is as good as the vote of {len(members)}: the vote's gain is within "
            "its standard error. Submit either."
        )
    return " ".join([words, *_weak_members(members, best)])


def _weak_members(members: Sequence[ListedMember], best: ListedRun) -> list[str]:
    return [
        f"{one.name} votes although it scores {one.miou:.3f}, far below the best run's {best.miou:.3f}: "
        f"without it the vote would score {100 * one.leave_one_out:.2f} points less on this holdout."
        for one in members
        if one.miou is not None and one.miou < WEAK * best.miou and one.leave_one_out is not None
    ]


def next_commands(study: Study, runs_dir: Path, tracking_uri: str | None) -> list[str]:
    """Return the commands that use the ensemble of a study, ready to be pasted."""
    test = study.data.root / "test.json"
    images = str(test) if test.is_file() else "PHOTOS"
    commands = (
        ["predict", "--ensemble", study.name, "--images", images, "--out", f"answer-{study.name}"],
        ["refit", "--ensemble", study.name],
        ["export", "--ensemble", study.name],
        ["ui"],
    )
    return [shlex.join(["segvote", *command, *place_flags(runs_dir, tracking_uri)]) for command in commands]


def show_what_is_next(
    console: Console, study: Study, ensemble: EnsembleRecord, runs_dir: Path, uri: str | None
) -> None:
    """Show the recommendation, and under it the commands.

    Args:
        console: Where to print.
        study: The study.
        ensemble: Its ensemble.
        runs_dir: The runs directory, for the commands.
        uri: The address of MLflow's store if one was given, likewise.
    """
    say(console, recommendation(ensemble), style="bold")
    words = (
        "Predict photos by the vote",
        "Train the members again on all labelled photos",
        "Export the vote as a model",
        "Compare the trials",
    )
    for what, command in zip(words, next_commands(study, runs_dir, uri), strict=True):
        say(console, f"{what}:\n    {command}")
