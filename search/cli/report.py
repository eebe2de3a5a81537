"""The command line of `segvote report`."""

from pathlib import Path

import click

from search.cli.options import PLACES, example, make_console, with_options


@click.command("report", epilog=example("segvote report --study night --scores leaderboard.csv"))
@click.option("--study", "name", required=True, metavar="NAME", help="The study's name: its directory in --runs-dir.")
@click.option(
    "--scores", metavar="FILE", help="A CSV file of submissions with the columns date, name, public, private."
)
@click.option("--out", metavar="FILE", help="The file to write. [default: report.html in the study's directory]")
@with_options(PLACES)
def report_command(
    name: str, scores: str | None, out: str | None, runs_dir: str, cache_dir: str, tracking_uri: str | None
) -> int:
    """Write the report of a study, one HTML file.

    It has the scores, what helped, the vote and pictures. It may also be written while the study runs.
    """
    from search.report.console import say, working
    from search.report.study_report import write_report  # importing mlflow takes seconds, which --help does not need
    from search.study.study import known_study
    from search.tracking.store import open_store

    console, runs = make_console(), Path(runs_dir).expanduser().resolve()
    study = known_study(runs, name, Path(cache_dir).expanduser().resolve())
    target = Path(out).expanduser().resolve() if out else None
    with working(console, "Reading the study …"):
        path, report = write_report(
            study, lambda: open_store(tracking_uri, runs), scores=Path(scores) if scores else None, out=target
        )
    for lack in report.lacks:
        say(console, lack, style="yellow")
    say(console, f"report  {path}")
    return 0
