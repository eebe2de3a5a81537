"""The command line of `segvote ui`."""

from pathlib import Path

import click

from search.cli.options import RUNS_DIR, TRACKING_URI, example, make_console, with_options


@click.command("ui", epilog=example("segvote ui --runs-dir runs --port 5000"))
@with_options((RUNS_DIR, TRACKING_URI))
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="The port on this machine."
)
def ui_command(runs_dir: str, tracking_uri: str | None, port: int) -> int:
    """Show the trials in MLflow's pages.

    If --tracking-uri is a server, its page is opened. Otherwise a server is started, which answers this machine
    alone and runs until Ctrl-C.
    """
    from search.tracking.ui import serve  # importing mlflow takes seconds, which --help does not need

    return serve(Path(runs_dir), tracking_uri, port, make_console())
