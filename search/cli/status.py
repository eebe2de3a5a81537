"""The command line of `segvote status`."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.live import Live

from search.cli.options import PLACES, example, make_console, with_options


@click.command("status", epilog=example("segvote status --study night --watch 10"))
@click.option("--study", "name", required=True, metavar="NAME", help="The study's name.")
@click.option(
    "--watch", type=click.IntRange(1), metavar="SECONDS", help="Show it again after so many seconds, until Ctrl-C."
)
@click.option("--json", "as_json", is_flag=True, help="Print the same and every trial as JSON.")
@with_options(PLACES)
def status_command(
    name: str, watch: int | None, as_json: bool, runs_dir: str, cache_dir: str, tracking_uri: str | None
) -> int:
    """Show the progress of a study.

    It shows the trials in training, the best trials, the score of their vote so far, and the time left.

    The study may run in another terminal or on another machine: if its files are not in --runs-dir, MLflow is read.
    """
    from search.commands.status.read import reader
    from search.commands.status.show import show_status

    console = make_console()
    read = reader(name, Path(runs_dir).expanduser().resolve(), Path(cache_dir).expanduser().resolve(), tracking_uri)
    if as_json:
        click.echo(json.dumps(read().to_dict(), indent=1))
        return 0
    show: Callable = lambda: show_status(read())  # noqa: E731
    if watch is None:
        console.print(show())
        return 0
    with Live(show(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(watch)
            live.update(show(), refresh=True)
