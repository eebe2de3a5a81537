"""The command line: flags to Settings, errors to one message and exit code 2."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from search.cli.data import data_command
from search.cli.ensemble import ensemble_command
from search.cli.export import export_command
from search.cli.options import PLACES, PSEUDO, RESOURCES, flags_to_settings, typed_flags, typed_line, with_options
from search.cli.predict import predict_command
from search.cli.pseudo import pseudo_command
from search.cli.refit import refit_command
from search.cli.vote import vote_command
from search.study.settings import Settings
from trainables.errors import UserError

HOW_TO_GO_ON = "what is finished is kept: a study goes on with --resume, all else by the same command"
INTERRUPTED = 130  # what shells report for Ctrl-C


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns its exit code: 0, 1 (a study without result), 2 (a user's mistake), 130 (Ctrl-C)."""
    _quiet_libraries()
    interrupted = _note_interrupts()
    try:
        return commands(args=arguments, prog_name="segvote", standalone_mode=False) or 0
    except UserError as error:
        click.echo(f"segvote: {error}", err=True)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _stopped()
    except click.ClickException as error:
        error.show()
    except OSError as error:  # a full disk, a directory that may not be written to
        click.echo(
            f"segvote: {error}; {HOW_TO_GO_ON}",
            err=True,
        )
    except Exception:
        if interrupted.is_set():  # what Ctrl-C breaks off may end in any exception: imports make RuntimeErrors of it
            return _stopped()
        raise
    return 2


def _note_interrupts() -> threading.Event:
    """An event that Ctrl-C sets before it raises KeyboardInterrupt."""
    interrupted = threading.Event()

    def interrupt(*_: Any) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupt)
    return interrupted


def _stopped() -> int:
    click.echo(
        f"segvote: stopped; {HOW_TO_GO_ON}",
        err=True,
    )
    return INTERRUPTED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def commands() -> None:
    """Searches hyperparameters of semantic-segmentation models on Ray, and votes."""


@commands.command("search")
@click.option(
    "--space", default="quickstart", show_default=True, help="A space's name, or the path of your own .py file."
)
@click.option("--list-spaces", is_flag=True, help="Show the spaces and their choices, and do nothing else.")
@click.option(
    "--data", metavar="DIR", help="COCO data set with train.json, or 'sample'. [default: ./data, else sample]"
)
@click.option(
    "--unlabelled",
    type=click.Choice(["background", "ignore"]),
    default="background",
    show_default=True,
    help="What pixels without annotation are: class 0, or no class and not scored.",
)
@with_options(PSEUDO)
@click.option("--image-size", metavar="N|WxH", help="Photos are resized to this many pixels. [default: the space's]")
@click.option("--epochs", type=click.IntRange(1), help="Epochs per trial. [default: the space's]")
@click.option("--trials", type=click.IntRange(1), help="Number of trials. [default: the space's]")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts that a trial can leave out.")
@click.option(
    "--holdout-fraction",
    type=click.FloatRange(0.05, 0.9),
    default=0.2,
    show_default=True,
    help="Of train.json, where there is no val.json.",
)
@click.option(
    "--holdout",
    type=click.Choice(["val", "scenes"]),
    default="val",
    show_default=True,
    help="val.json where there is one, or whole scenes of all labelled photos. Without val.json it is whole scenes.",
)
@click.option("--group-by", metavar="REGEX", help="Photos whose names it finds the same text in are one scene.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of splits, sampler and trials.")
@click.option("--fix", multiple=True, metavar="KEY=VALUE", help="Pin a choice; may be repeated.")
@click.option(
    "--grid",
    multiple=True,
    metavar="KEY[=A,B]",
    help="Vary just this factor over all its values, with everything else fixed; may be repeated.",
)
@click.option(
    "--pretrained/--no-pretrained", default=None, help="Start backbones from ImageNet weights. [default: the space's]"
)
@click.option("--weights-dir", metavar="DIR", help="One <timm name>.safetensors per backbone, instead of a download.")
@click.option("--init-from", metavar="FILE", help="A checkpoint of the backbone from elsewhere: see the README.")
@click.option("--init-partial", is_flag=True, help="Allow it to lack more than a tenth of the backbone's parameters.")
@click.option(
    "--grace-period",
    type=click.IntRange(1),
    help="Epochs that no trial is stopped before. [default: the space's, or epochs / 9]",
)
@click.option(
    "--reduction-factor",
    type=click.FloatRange(1.1),
    default=3.0,
    show_default=True,
    help="One in so many goes on at each rung.",
)
@click.option("--brackets", type=click.IntRange(1), default=1, show_default=True, help="ASHA brackets.")
@with_options(RESOURCES)
@click.option("--name", help="Of the study. [default: space and time]")
@click.option("--resume", is_flag=True, help="Go on with the study --name, or the newest of this space.")
@with_options(PLACES)
@click.option("--all-candidates", is_flag=True, help="Let trials vote that were stopped before the last rung.")
@click.option("--max-members", type=click.IntRange(1), default=15, show_default=True, help="Of the ensemble.")
@click.option("--dry-run", is_flag=True, help="Show data, splits, resources and first configurations; train nothing.")
@click.pass_context
def search_command(context: click.Context, list_spaces: bool, **flags: Any) -> int:
    """Search a space on a data set, log every trial to MLflow, and select the best vote."""
    console = Console()
    if list_spaces:
        _list_spaces(console)
        return 0
    settings = Settings(**flags_to_settings(flags))
    from search.run import run_search

    return run_search(settings, typed_flags(context), typed_line(context), console)


@commands.command("ui")
@click.option("--runs-dir", default="runs", show_default=True, metavar="DIR", help="Where studies are.")
@click.option(
    "--tracking-uri", metavar="URI", help="Of MLflow's store. [default: the SQLite file in the runs directory]"
)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="On loopback.")
def ui_command(runs_dir: str, tracking_uri: str | None, port: int) -> int:
    """Serve MLflow's pages on the studies' store, on this machine alone."""
    from search.tracking.ui import serve

    return serve(Path(runs_dir), tracking_uri, port, Console())


commands.add_command(ensemble_command)
commands.add_command(data_command)
commands.add_command(predict_command)
commands.add_command(pseudo_command)
commands.add_command(vote_command)
commands.add_command(refit_command)
commands.add_command(export_command)


def _list_spaces(console: Console) -> None:
    from search.study.space import describe_spaces

    for name, summary, choices in describe_spaces():
        console.print(f"[bold]{name}[/bold]  {escape(summary)}", soft_wrap=True)
        for choice in choices.values():
            console.print(f"    {choice.name:<22} {escape(str(choice))}", highlight=False, soft_wrap=True)


def _quiet_libraries() -> None:
    # Set before the libraries are imported, and inherited by Ray's workers.
    quiet = {
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)


def console_script() -> None:
    """The entry point `segvote`."""
    sys.exit(main())
