"""`segvote ensemble` on the command line: flags to EnsembleOptions."""

import json
from pathlib import Path
from typing import Any

import click

from search.cli.options import CACHE_DIR, JSON, RUNS_DIR, TRACKING_URI, Choice, TakesLists, example, make_console
from search.ensemble.options import MODES, EnsembleOptions
from search.study.study import known_studies
from search.tracking.store_file import check_studies


@click.command(
    "ensemble",
    cls=TakesLists,
    epilog=example("segvote ensemble --studies monday tuesday --where \"params.head = 'fpn'\" --max-members 7"),
)
@click.option("--studies", multiple=True, metavar="STUDY…", help="Whose trials may vote; they share one holdout.")
@click.option(
    "--where", default="", metavar="FILTER", help="Only these trials, in MLflow's words: \"params.head = 'fpn'\"."
)
@click.option("--min-miou", type=click.FloatRange(0, 1), help="Only trials that score as much on the holdout.")
@click.option("--all-candidates", is_flag=True, help="Let trials vote that were stopped before the last rung.")
@click.option(
    "--mixed-edits", is_flag=True, help="Let studies vote together whose training labels were edited differently."
)
@click.option("--mode", type=Choice(MODES), default="greedy", show_default=True, help="How members are chosen.")
@click.option("--max-members", type=click.IntRange(1), default=15, show_default=True, help="Of the ensemble.")
@click.option("--must-include", multiple=True, metavar="RUN…", help="Runs, by name or id, that vote in any case.")
@click.option("--start", multiple=True, metavar="RUN…", help="Runs, by name or id, to begin with; swap may drop them.")
@click.option("--beam-width", type=click.IntRange(1), default=8, show_default=True, help="Sets that beam goes on with.")
@click.option(
    "--shortlist",
    type=click.IntRange(1),
    metavar="N",
    help="Choose among the N most promising. [default: all]",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of cross-fit and bootstrap.")
@click.option(
    "--tta",
    multiple=True,
    metavar="WORD…",
    help="Predict the holdout again with several views in each run, and select with it: scales=0.75,1.0,1.25 flip.",
)
@click.option("--window", is_flag=True, help="The same with windows of the training size over photos at their own.")
@click.option("--overlap", type=float, default=0.5, show_default=True, help="Of windows, as a share of their side.")
@click.option("--data", metavar="DIR", help="Where the holdout's photos are, for --tta. [default: the studies']")
@CACHE_DIR
@click.option("--threads", type=click.IntRange(1), help="Of the selection. [default: all cores]")
@click.option(
    "--memory",
    type=click.FloatRange(0, min_open=True),
    metavar="GIB",
    help="What to keep within; the rest is in temporary files (TMPDIR). [default: no bound]",
)
@click.option("--name", help="Of the ensemble's run in MLflow. [default: ensemble and time]")
@click.option("--out", metavar="DIR", help="Where ensemble.json and plots go. [default: RUNS/ensembles/NAME]")
@RUNS_DIR
@TRACKING_URI
@JSON
def ensemble_command(name: str | None, out: str | None, runs_dir: str, as_json: bool, **flags: Any) -> int:
    """Select the best vote among the trials of one or more studies, and say what it is worth."""
    options = EnsembleOptions(runs_dir=Path(runs_dir), **flags)
    if options.tracking_uri is None:
        check_studies(options.studies, options.runs_dir, known_studies(options.runs_dir))
    from search.ensemble.command import run_ensemble  # mlflow takes seconds to import
    from search.report.end_of_search import recommendation

    target = Path(out).expanduser().resolve() if out else None
    ensemble = run_ensemble(options, name, target, make_console(as_json=as_json))
    if as_json:
        click.echo(json.dumps(ensemble.to_json() | {"recommendation": recommendation(ensemble)}))
    return 0
