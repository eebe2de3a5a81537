"""The main job: search, log to MLflow, vote. `python search/run.py …` is `segvote search …`."""

import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # a script's own directory is first here, and then whatever PYTHONPATH names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import click
from rich.console import Console

from search.background import import_in_background
from search.check_flags import check_flags
from search.cli.errors import end_process, run_command
from search.cli.options import TakesLists, example, flags_to_settings, make_console, typed_flags, typed_line
from search.cli.search import list_spaces, search_options
from search.report.console import working
from search.study.checked_data import checked_data
from search.study.data_place import BUILT_IN
from search.study.settings import Settings
from search.tuning.cluster.ray_access import close_own_cluster
from search.tuning.compile_ahead import KernelsCompiledAhead
from trainables.data import Dataset

# What the steps up to the first trial import only when they come to it.
LATE_IMPORTS = ("mlflow.store.tracking.sqlalchemy_store", "sklearn.model_selection")
EXAMPLE = "segvote search --space cnn_heads --data my_photos --choices head=unet,fpn --fix epochs=20 --trials 12"


@click.command("search", cls=TakesLists, epilog=example(EXAMPLE))
@search_options
@click.pass_context
def search_command(context: click.Context, **flags: Any) -> int:
    """Search hyperparameters, and select the best vote of the trials.

    The trials are configurations that the space suggests. Each is trained on the data set and logged to MLflow.
    """
    as_json = flags.pop("as_json")
    console = make_console(as_json=as_json)
    if flags.pop("list_spaces"):
        return list_spaces(console)
    settings = check_flags(Settings(**flags_to_settings(flags)), typed_flags(context), console)
    dataset = None if settings.data == BUILT_IN else checked_data(Path(settings.data), settings, console)
    with KernelsCompiledAhead() as kernels:
        return run_search(settings, dataset, typed_line(context), console, kernels, as_json=as_json)


def run_search(
    settings: Settings,
    dataset: Dataset | None,
    command: str,
    console: Console,
    kernels: KernelsCompiledAhead,
    *,
    as_json: bool,
) -> int:
    """Run or resume one study and return the exit code.

    Args:
        settings: The checked flags.
        dataset: The data set as it was read; None for the built-in one.
        command: The command line that was typed.
        console: Where to print.
        kernels: The process that compiles the kernels of the vote.
        as_json: Whether the result is also printed as JSON on standard output.
    """
    if not settings.address:
        close_own_cluster()
    with working(console, "Starting Ray, loading MLflow …"):  # takes many seconds: mistakes are reported before
        from search.tuning.cluster.resources import trials_side_by_side
        from search.tuning.cluster.start_ray import start_ray

        import_in_background("search.prepare", "search.search_steps", *LATE_IMPORTS)
        trials = 0 if settings.dry_run else trials_side_by_side(settings, settings.trials)
        start_ray(settings.address, trials=trials, on_gpus=settings.gpus_per_trial != 0)
        from search import prepare, search_steps
        from search.tuning.tuner import StudyTuner

    study, dataset = prepare.prepare_data(settings, dataset, console)
    plan = search_steps.make_plan(study, settings, console)
    search_steps.show_plan(plan, dataset, console)
    if settings.dry_run:
        return 0
    with (
        search_steps.claimed(plan),
        search_steps.tracked(plan) as tracker,
        search_steps.running_screen(plan, console) as screen,
    ):
        tuner = StudyTuner(plan, tracker, screen, kernels.wait, meanwhile=("search.final_steps",))
        tuner.fit()
        if tuner.interrupted:
            return search_steps.say_how_to_resume(plan, command, tracker, console)
        from search import final_steps

        ensemble, code = final_steps.conclude(plan, tuner, tracker, command, console)
        if as_json:
            click.echo(final_steps.result_as_json(plan, ensemble))
        return code


if __name__ == "__main__":
    end_process(run_command(search_command, prog_name="python search/run.py"))
