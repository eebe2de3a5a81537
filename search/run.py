"""The main job: search, log to MLflow, vote. `python search/run.py …` is `segvote search …`."""

import sys
from typing import Any

import click
from rich.console import Console

from search.cli.errors import run_command
from search.cli.options import TakesLists, example, flags_to_settings, make_console, typed_flags, typed_line
from search.cli.search import list_spaces, search_options
from search.kernels import KernelsCompiledAhead
from search.request import checked
from search.study.settings import Settings

EXAMPLE = "segvote search --space cnn_heads --data my_photos --choices head=unet,fpn --fix epochs=20 --trials 12"


@click.command("search", cls=TakesLists, epilog=example(EXAMPLE))
@search_options
@click.pass_context
def search_command(context: click.Context, **flags: Any) -> int:
    """Search a space on a data set, log every trial to MLflow, and select the best vote."""
    console = make_console()
    if flags.pop("list_spaces"):
        return list_spaces(console)
    settings = Settings(**flags_to_settings(flags))
    return run_search(settings, typed_flags(context), typed_line(context), console)


def run_search(settings: Settings, given: set[str], command: str, console: Console) -> int:
    """Run or resume one study and return the exit code. `given` are the flags typed, `command` is the line."""
    settings = checked(settings, given, console)
    with KernelsCompiledAhead() as kernels:
        return _run_checked(settings, command, console, kernels)


def _run_checked(settings: Settings, command: str, console: Console, kernels: KernelsCompiledAhead) -> int:
    from search import prepare, steps  # torch, ray and mlflow take many seconds to import: mistakes are told before

    study, dataset = prepare.prepare_data(settings, console)
    plan = steps.make_plan(study, settings, console)
    steps.show_plan(plan, dataset, settings, console)
    if settings.dry_run:
        return 0
    with (
        steps.claimed(plan, settings),
        steps.tracked(plan, settings) as tracker,
        steps.running_screen(plan, settings, console) as screen,
    ):
        tuner = steps.make_tuner(plan, settings, tracker, screen, kernels.wait)
        tuner.fit()
        if tuner.interrupted:
            return steps.say_how_to_resume(plan, command, tracker, console)
        ensemble = steps.vote(plan, settings, tracker)
        steps.keep_report(plan, settings, tracker, console)
        return steps.report(plan, tuner, ensemble, settings, console)


if __name__ == "__main__":
    sys.exit(run_command(search_command, prog_name="python search/run.py"))
