"""The command line of `segvote ensemble`."""

import json
from pathlib import Path
from typing import Any

import click

from search.cli.options import CACHE_DIR, JSON, RUNS_DIR, TRACKING_URI, Choice, TakesLists, example, make_console
from search.commands.ensemble.options import MODES, EnsembleOptions
from search.study.study import known_studies
from search.tracking.store_file import check_studies


@click.command(
    "ensemble",
    cls=TakesLists,
    epilog=example("segvote ensemble --studies monday tuesday --where \"params.head = 'fpn'\" --max-members 7"),
)
@click.option(
    "--studies",
    multiple=True,
    metavar="STUDY…",
    help="The studies whose trials may vote; all must have the same holdout.",
)
@click.option(
    "--where", default="", metavar="FILTER", help="Only trials that pass this MLflow filter: \"params.head = 'fpn'\"."
)
@click.option("--min-miou", type=click.FloatRange(0, 1), help="Only trials with at least this holdout mIoU.")
@click.option("--all-candidates", is_flag=True, help="Allow trials that were stopped before the last rung to vote.")
@click.option(
    "--mixed-edits", is_flag=True, help="Let studies vote together whose training labels were edited differently."
)
@click.option(
    "--mode", type=Choice(MODES), default="greedy", show_default=True, help="How members are chosen: see docs/vote.md."
)
@click.option(
    "--max-members", type=click.IntRange(1), default=15, show_default=True, help="The most members of the ensemble."
)
@click.option("--must-include", multiple=True, metavar="RUN…", help="Names or ids of runs that must be members.")
@click.option(
    "--start", multiple=True, metavar="RUN…", help="Names or ids of runs to begin with; the mode swap may drop them."
)
@click.option(
    "--beam-width", type=click.IntRange(1), default=8, show_default=True, help="How many sets the mode beam keeps."
)
@click.option(
    "--shortlist",
    type=click.IntRange(1),
    metavar="N",
    help="Choose among the N most promising candidates. [default: all]",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The seed of cross-fit and bootstrap."
)
@click.option(
    "--tta",
    multiple=True,
    metavar="WORD…",
    help="Predict the holdout again, averaging several views, and select with that: scales=0.75,1.0,1.25 flip.",
)
@click.option(
    "--window", is_flag=True, help="Predict windows of the training size, which slide over photos at their own size."
)
@click.option(
    "--overlap", type=float, default=0.5, show_default=True, help="How much windows overlap, as a share of their side."
)
@click.option(
    "--data", metavar="DIR", help="The data set with the holdout's photos, for --tta. [default: that of the studies]"
)
@CACHE_DIR
@click.option("--threads", type=click.IntRange(1), help="How many threads select. [default: all cores]")
@click.option(
    "--memory",
    type=click.FloatRange(0, min_open=True),
    metavar="GIB",
    help="A bound on memory; what exceeds it is kept in temporary files (TMPDIR). [default: none]",
)
@click.option("--name", help="The name of the ensemble's run in MLflow. [default: ensemble and the time]")
@click.option("--out", metavar="DIR", help="The directory for ensemble.json and plots. [default: RUNS/ensembles/NAME]")
@RUNS_DIR
@TRACKING_URI
@JSON
def ensemble_command(name: str | None, out: str | None, runs_dir: str, as_json: bool, **flags: Any) -> int:
    """Select the best vote among the trials of some studies.

    It also says what to expect of that vote on new photos, and logs both to MLflow.
    """
    options = EnsembleOptions(runs_dir=Path(runs_dir), **flags)
    if options.tracking_uri is None:
        check_studies(options.studies, options.runs_dir, known_studies(options.runs_dir))
    from search.commands.ensemble.command import run_ensemble  # mlflow takes seconds to import
    from search.report.end_of_search import recommendation

    target = Path(out).expanduser().resolve() if out else None
    ensemble = run_ensemble(options, name, target, make_console(as_json=as_json))
    if as_json:
        click.echo(json.dumps(ensemble.to_json() | {"recommendation": recommendation(ensemble)}))
    return 0
