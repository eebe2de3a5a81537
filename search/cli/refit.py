"""The command line of `segvote refit`."""

from typing import Any

import click

from search.cli.options import (
    DATA_FILES,
    ENSEMBLE_HELP,
    PLACES,
    PSEUDO,
    RESOURCES,
    example,
    flags_to_settings,
    make_console,
    typed_flags,
    typed_line,
    with_options,
)
from search.commands.refit.check_flags import check_flags
from search.report.console import working
from search.study.settings import RefitSettings
from search.tuning.cluster.ray_access import close_own_cluster


@click.command("refit", epilog=example("segvote refit --ensemble monday --seeds 2 --name final"))
@click.option("--ensemble", metavar="E", help=f"The ensemble whose members are trained again. {ENSEMBLE_HELP}")
@click.option("--data", metavar="DIR", help="A COCO data set with train.json. [default: that of the members]")
@with_options(DATA_FILES)
@with_options(PSEUDO)
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="How many models are trained of each member."
)
@click.option("--keep-holdout", is_flag=True, help="Leave the holdout out of training, and score on it.")
@click.option(
    "--weights-dir",
    metavar="DIR",
    help="A directory with <timm name>.safetensors of each backbone. [default: that of the members]",
)
@with_options(RESOURCES)
@click.option("--name", help="The name of the refit. [default: refit and the time]")
@click.option("--resume", is_flag=True, help="Resume the refit of this --name, or the newest.")
@with_options(PLACES)
@click.pass_context
def refit_command(context: click.Context, **flags: Any) -> int:
    """Train an ensemble's members again on all labelled photos.

    The result is an ensemble to predict with.
    """
    settings = RefitSettings(**flags_to_settings(flags))
    console = make_console()
    settings = check_flags(settings, typed_flags(context), console)
    if not settings.address:
        close_own_cluster()
    with working(console, "Loading PyTorch, Ray and MLflow …"):  # takes many seconds: mistakes are reported before
        from search.commands.refit.command import run_refit

    return run_refit(settings, typed_line(context), console)
