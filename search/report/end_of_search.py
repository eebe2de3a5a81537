"""The last screen of a search: all trials in a table, one recommendation, and the commands that come next."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ensembling.runs.ensemble import EnsembleRecord, ListedMember, ListedRun
from search.report.plain import PlainTable, say
from search.study.study import Study
from trainables.study_data import StudyData
from trainables.trial.files import TrialFiles

WEAK = 0.6  # a member that scores less than this share of the best one needs an explanation
NO_SCORE = "–"
OTHER_COLUMNS = 62  # characters of a row of the table of trials beside the model


def show_trials(console: Console, study: Study) -> None:
    """Show every trial that was begun, the best first: what it was, how far it came, and why it ended."""
    rows = trial_rows(study)
    headings = (">rank", "head, backbone, loss", ">epoch", ">mIoU", "why it ended", ">trial")
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
    """Return the cells of the table, sorted by score on the holdout; trials without one come last."""
    begun = [files for files in study.trials() if files.config.exists()]
    scores = {files.number: study.data.kept_score(files.records()) for files in begun}
    ranked = sorted(begun, key=lambda files: (-(scores[files.number] or -1.0), files.number))
    return [
        (
            str(rank) if scores[files.number] is not None else NO_SCORE,
            _model(files),
            *_best(files, study.data),
            _why_it_ended(files),
            str(files.number),
        )
        for rank, files in enumerate(ranked, start=1)
    ]


def _model(files: TrialFiles) -> str:
    config = files.read_config()
    return f"{config.head} {config.backbone} {config.loss}"


def _best(files: TrialFiles, data: StudyData) -> tuple[str, str]:
    records = files.records()
    kept, score = data.kept(records), data.kept_score(records)
    epoch = f"{kept['epoch']} of {files.read_config().epochs}" if kept else NO_SCORE
    return epoch, NO_SCORE if score is None else f"{score:.4f}"


def _why_it_ended(files: TrialFiles) -> str:
    verdict = files.read_verdict()
    if verdict is None:
        return "goes on with --resume"
    if verdict["failure"]:
        return f"failed: {verdict['failure']}"
    return "completed" if verdict["status"] == "completed" else f"stopped at epoch {verdict['epochs']}"


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
    else:
        words = (
            f"The best single run, {best.name}, is as good as the vote of {len(members)}: the vote's gain is within "
            "its error. Submit either."
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
    place = [] if runs_dir == Path("runs").resolve() else ["--runs-dir", str(runs_dir)]
    place += ["--tracking-uri", tracking_uri] if tracking_uri else []
    test = study.data.root / "test.json"
    images = str(test) if test.is_file() else "PHOTOS"
    commands = (
        ["predict", "--ensemble", study.name, "--images", images, "--out", f"answer-{study.name}"],
        ["refit", "--ensemble", study.name],
        ["export", "--ensemble", study.name],
        ["ui"],
    )
    return [shlex.join(["segvote", *command, *place]) for command in commands]


def show_what_is_next(
    console: Console, study: Study, ensemble: EnsembleRecord, runs_dir: Path, uri: str | None
) -> None:
    """Show the recommendation, and under it the commands."""
    say(console, recommendation(ensemble), style="bold")
    words = ("answer of the vote", "train the members on all photos", "keep it as a model", "compare the trials")
    for what, command in zip(words, next_commands(study, runs_dir, uri), strict=True):
        say(console, f"{what}:\n    {command}")
