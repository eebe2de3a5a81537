"""The steps of a search after its last trial, of which `conclude` has the order.

What they need is imported while the trials train: no trial waits for it, and nor does the vote.
"""

import json
import shlex

from rich.console import Console

from ensembling.runs.ensemble import EnsembleRecord
from search.commands.ensemble.record import choose_vote, log_vote
from search.commands.predict.score_test_photos import score_test
from search.report.console import say, working
from search.report.dispensable import dispensable
from search.report.durations import counted, duration
from search.report.end_of_search import next_commands, search_result, show_trials, show_what_is_next
from search.report.ensemble_plots import plot_ensemble
from search.report.ensemble_report import show_ensemble
from search.report.study_report import write_report
from search.search_steps import resuming, say_what_broke, say_what_was_not_suggested
from search.tracking.tracker import Tracker
from search.tuning.plan import Plan
from search.tuning.report_refresh import report_flags
from search.tuning.tuner import StudyTuner


def conclude(
    plan: Plan, tuner: StudyTuner, tracker: Tracker, command: str, console: Console
) -> tuple[EnsembleRecord | None, int]:
    """Select the vote, and show it, before anything is added to it that may fail: plots, MLflow's run, the report.

    Args:
        plan: The plan of the search.
        tuner: The tuner after its end.
        tracker: The writer of the study's runs.
        command: The command line that was typed.
        console: Where to print.

    Returns:
        The ensemble, None where no trial has predictions, and the exit code.
    """
    ensemble = vote(plan, tracker)
    code = show_result(plan, tuner, ensemble, console)
    if ensemble:
        keep_vote(plan, tracker, ensemble, command, console)
    keep_report(plan, tracker, console)
    if ensemble:
        say_what_is_next(plan, ensemble, console)
    return ensemble, code


def vote(plan: Plan, tracker: Tracker) -> EnsembleRecord | None:
    """Write the ensemble to disk and return it; None, and mark the study as failed, where no trial has predictions."""
    ensemble = choose_vote(plan.study, tracker, **plan.settings.vote_limits)
    if ensemble is None:
        tracker.final_status = "FAILED"
    return ensemble


def show_result(plan: Plan, tuner: StudyTuner, ensemble: EnsembleRecord | None, console: Console) -> int:
    """Show the result and where it is.

    Args:
        plan: The plan of the search.
        tuner: The tuner after its end.
        ensemble: The ensemble; None where no trial has predictions.
        console: Where to print.

    Returns:
        The exit code, 1 where there is no ensemble.
    """
    say_what_was_not_suggested(plan, tuner, console)
    if tuner.cut_off:
        say(
            console,
            f"The time budget of {duration(plan.settings.time_budget)} is spent: "
            f"{counted(tuner.cut_off, 'trial was', 'trials were')} cut off{_unbegun(plan)}; the same command with "
            f"--resume --name {plan.study.name} goes on with them",
        )
    say_what_broke(plan, tuner, console)
    if ensemble:
        show_ensemble(console, ensemble)
    else:
        say(
            console,
            f"No trial has predictions, so there is nothing to vote on; the logs are in {plan.study.trials_dir}",
        )
    show_trials(console, plan.study)
    if ensemble:
        say(console, f"ensemble  {plan.study.ensemble_file}")
    return 0 if ensemble else 1


def _unbegun(plan: Plan) -> str:
    left = plan.trials - sum(1 for _ in plan.study.trials())
    return f", and {counted(left, 'was', 'were')} not begun" if left > 0 else ""


def keep_vote(plan: Plan, tracker: Tracker, ensemble: EnsembleRecord, command: str, console: Console) -> None:
    """Draw the vote's plots and log it to MLflow. `command` is the command line that was typed."""
    again, directory, plots = resuming(command, plan.study.name), plan.study.directory, []
    with dispensable("The plots of the vote could not be drawn", again, directory, console):
        plots = plot_ensemble(ensemble, directory)
    with dispensable("The vote could not be logged to MLflow", again, directory, console):
        log_vote(plan.study, tracker, ensemble, plots)


def keep_report(plan: Plan, tracker: Tracker, console: Console) -> None:
    """Write the report and log it to the study's run."""
    again = shlex.join(["segvote", *report_flags(plan.study.name, plan.settings)])
    with dispensable("The report could not be written", again, plan.study.directory, console):
        with working(console, "Writing the report …"):
            path, shown = write_report(plan.study, lambda: (tracker.client, tracker.experiment_id))
        for lack in shown.lacks:
            say(console, lack)
        say(console, f"report    {path}")


def say_what_is_next(plan: Plan, ensemble: EnsembleRecord, console: Console) -> None:
    """Score the test photos where the space asks for it, and show what to do with the ensemble."""
    settings = plan.settings
    if plan.space.scores_test and not plan.suggestions:
        again = next_commands(plan.study, settings.runs_dir, settings.tracking_uri)[0]
        with dispensable("The test photos could not be scored", again, plan.study.directory, console):
            score_test(plan.study, settings, console)
    show_what_is_next(console, plan.study, ensemble, settings.runs_dir, settings.tracking_uri)


def result_as_json(plan: Plan, ensemble: EnsembleRecord | None) -> str:
    """Return in one line what a search shows at its end."""
    settings = plan.settings
    return json.dumps(search_result(plan.study, ensemble, settings.runs_dir, settings.tracking_uri))
