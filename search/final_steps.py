"""The steps of a search after its last trial, in the order in which run.py takes them.

What they need is imported while the trials train: no trial waits for it, and nor does the vote.
"""

import json
import shlex
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from ensembling.runs.ensemble import EnsembleRecord
from search.commands.ensemble.record import conclude
from search.commands.predict.score_test_photos import score_test
from search.report.console import say, working
from search.report.durations import counted, duration
from search.report.end_of_search import next_commands, search_result, show_trials, show_what_is_next
from search.report.ensemble_report import show_ensemble
from search.report.study_report import write_report
from search.search_steps import say_what_broke, say_what_was_not_suggested
from search.tracking.tracker import Tracker
from search.tuning.plan import Plan
from search.tuning.report_refresh import report_flags
from search.tuning.tuner import StudyTuner
from trainables.errors import UserError, one_line

ERRORS = "errors.txt"  # the tracebacks of steps after the vote that failed


def vote(plan: Plan, tracker: Tracker) -> EnsembleRecord | None:
    """Return the ensemble; None, and mark the study as failed, where no trial got as far as a prediction."""
    ensemble = conclude(plan.study, tracker, **plan.settings.vote_limits)
    if ensemble is None:
        tracker.final_status = "FAILED"
    return ensemble


def keep_report(plan: Plan, tracker: Tracker, console: Console) -> None:
    """Write the report and log it to the study's run."""
    again = shlex.join(["segvote", *report_flags(plan.study.name, plan.settings)])
    with dispensable("The report could not be written", again, plan.study.directory / ERRORS, console):
        with working(console, "Writing the report …"):
            path, shown = write_report(plan.study, lambda: (tracker.client, tracker.experiment_id))
        for lack in shown.lacks:
            say(console, lack)
        say(console, f"report    {path}")


@contextmanager
def dispensable(failed: str, again: str, errors: Path, console: Console) -> Iterator[None]:
    """Return a context in which any error is shown and ends the block alone: the study has its vote without the block.

    Args:
        failed: What to say where it fails.
        again: The command that does the same again.
        errors: The file that keeps the traceback of an error that neither the user nor the machine has made.
        console: Where to print.
    """
    try:
        yield
    except (UserError, OSError) as error:
        say(console, f"{failed} ({error}). The vote is not affected; try again by\n    {again}", style="yellow")
    except Exception as error:
        where = _keep_traceback(errors, console)
        say(
            console,
            f"{failed}, because of a fault in SegVote or in a library ({type(error).__name__}: {one_line(error)}); "
            f"{where}. The vote is not affected; when the fault is mended, try again by\n    {again}",
            style="yellow",
        )


def _keep_traceback(errors: Path, console: Console) -> str:
    """Append the traceback of the error that is being handled to a file, and return in words where it is."""
    try:
        with errors.open("a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
    except OSError:
        console.print(traceback.format_exc(), markup=False, highlight=False)
        return "its traceback is above"
    return f"its traceback is in {errors}"


def report(plan: Plan, tuner: StudyTuner, ensemble: EnsembleRecord | None, console: Console) -> int:
    """Show the result and where everything is.

    Args:
        plan: The plan of the search.
        tuner: The tuner after its end.
        ensemble: The ensemble; None where no trial has predictions.
        console: Where to print.

    Returns:
        The exit code, 1 where there is no ensemble.
    """
    settings = plan.settings
    say_what_was_not_suggested(plan, tuner, console)
    if tuner.cut_off:
        say(
            console,
            f"The time budget of {duration(settings.time_budget)} is spent: "
            f"{counted(tuner.cut_off, 'trial was', 'trials were')} cut off{_unbegun(plan)}; the same command with "
            f"--resume --name {plan.study.name} goes on with them",
        )
    say_what_broke(plan, tuner, console)
    if ensemble is None:
        say(
            console,
            f"No trial has predictions, so there is nothing to vote on; the logs are in {plan.study.trials_dir}",
        )
        show_trials(console, plan.study)
        return 1
    show_ensemble(console, ensemble)
    show_trials(console, plan.study)
    say(console, f"ensemble  {plan.study.ensemble_file}")
    if plan.space.scores_test and not plan.suggestions:
        again = next_commands(plan.study, settings.runs_dir, settings.tracking_uri)[0]
        with dispensable("The test photos could not be scored", again, plan.study.directory / ERRORS, console):
            score_test(plan.study, settings, console)
    show_what_is_next(console, plan.study, ensemble, settings.runs_dir, settings.tracking_uri)
    return 0


def _unbegun(plan: Plan) -> str:
    left = plan.trials - sum(1 for _ in plan.study.trials())
    return f", and {counted(left, 'was', 'were')} not begun" if left > 0 else ""


def result_as_json(plan: Plan, ensemble: EnsembleRecord | None) -> str:
    """Return in one line what `report` shows."""
    settings = plan.settings
    return json.dumps(search_result(plan.study, ensemble, settings.runs_dir, settings.tracking_uri))
