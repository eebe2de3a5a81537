"""`segvote refit`: the members of an ensemble, trained again on all labelled photos as trials of a study."""

from rich.console import Console

from search import search_steps
from search.commands.refit import refit_steps
from search.commands.refit.record import conclude_refit, log_refit, report_refit
from search.report.dispensable import dispensable
from search.study.settings import RefitSettings
from search.tuning.tuner import StudyTuner


def run_refit(settings: RefitSettings, command: str, console: Console) -> int:
    """Run or resume one refit, and return the exit code. `command` is the command line as it was typed."""
    study, settings = refit_steps.prepare(settings, console)
    plan = refit_steps.make_plan(study, settings, console)
    refit_steps.show_plan(plan, console)
    with (
        search_steps.claimed(plan),
        search_steps.tracked(plan) as tracker,
        search_steps.running_screen(plan, console) as screen,
    ):
        tuner = StudyTuner(plan, tracker, screen)
        tuner.fit()
        if tuner.interrupted or tuner.cut_off:
            return search_steps.say_how_to_resume(plan, command, tracker, console)
        search_steps.say_what_broke(plan, tuner, console)
        ensemble = conclude_refit(study, tracker)
        code = report_refit(study, ensemble, console)
        if ensemble:
            again = search_steps.resuming(command, study.name)
            with dispensable("The ensemble could not be logged to MLflow", again, study.directory, console):
                log_refit(study, tracker, ensemble)
        return code
