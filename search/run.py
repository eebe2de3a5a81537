"""The main job: search, log to MLflow, vote. `python search/run.py …` is `segvote search …`."""

import sys

from rich.console import Console

from search.study.settings import Settings


def run_search(settings: Settings, given: set[str], command: str, console: Console) -> int:
    """Runs or resumes one study and returns the exit code. `given` are the flags typed, `command` is the line."""
    from search import prepare, steps  # torch, ray and mlflow take seconds to import, which `--help` need not wait for
    from search.tracking.store import check_places

    settings = steps.resolve(settings, given, console)
    check_places(settings.tracking_uri, settings.runs_dir)
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
        tuner = steps.make_tuner(plan, settings, tracker, screen)
        tuner.fit()
        if tuner.interrupted:
            return steps.say_how_to_resume(plan, command, tracker, console)
        ensemble = steps.vote(plan, settings, tracker)
        return steps.report(plan, tuner, ensemble, settings, console)


if __name__ == "__main__":
    from search.cli import main

    sys.exit(main(["search", *sys.argv[1:]]))
