"""Options that several commands share, and how they are read."""

import re
import shlex
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from trainables.errors import UserError, nearest


class TakesLists(click.Command):
    """A command whose repeatable flags take several values at once: `--start A B` is `--start A --start B`."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        lists = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        spread: list[str] = []
        flag = None
        for argument in arguments:
            if argument.startswith("-"):
                flag = argument if argument in lists else None
            elif flag and spread[-1] != flag:
                spread.append(flag)
            spread.append(argument)
        return super().parse_args(context, spread)


class Choice(click.Choice):
    """A choice among words whose error message suggests the word nearest to a mistyped one."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        return f"{value!r} is none of {', '.join(map(str, self.choices))}{nearest(value, self.choices)}."


MAX_MEGAPIXELS = click.option(
    "--max-megapixels",
    type=click.FloatRange(0, min_open=True),
    default=179.0,
    show_default=True,
    help="Larger photos are refused; decoding one takes 3 bytes a pixel.",
)
EDITS = click.option("--edits", metavar="FILE", help="YAML with corrections of the labels: see docs/data.md.")
# Every command that reads a data set takes these.
DATA_FILES = (
    click.option("--train-json", metavar="FILE", help="The COCO file of the training images, if it is not train.json."),
    click.option("--val-json", metavar="FILE", help="The COCO file of the holdout, if it is not val.json."),
    MAX_MEGAPIXELS,
)
UNLABELLED = click.option(
    "--unlabelled",
    type=Choice(["background", "ignore"]),
    default="background",
    show_default=True,
    help="What pixels without annotation are: class 0, or of no class and not scored.",
)
RUNS_DIR = click.option(
    "--runs-dir",
    default="runs",
    show_default=True,
    metavar="DIR",
    help="The directory of the studies, which every node must see.",
)
TRACKING_URI = click.option(
    "--tracking-uri", metavar="URI", help="MLflow's store. [default: the SQLite file in the runs directory]"
)
CACHE_DIR = click.option(
    "--cache-dir",
    default="~/.cache/segvote",
    show_default=True,
    metavar="DIR",
    help="The directory for decoded photos, on every node.",
)
JSON = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as JSON to standard output, and all else to standard error.",
)
PLACES = (RUNS_DIR, CACHE_DIR, TRACKING_URI)
ENSEMBLE_HELP = (
    "A study, a trial (as STUDY-0004), a directory or ensemble.json of either, the id of a run in MLflow, or "
    "models:/NAME/VERSION."
)
RESOURCES = (
    click.option("--time-budget", metavar="TIME", help="Stop training after this time, such as 90s, 30m, 8h or 2d."),
    click.option(
        "--concurrency", type=click.IntRange(1), help="How many trials run at once. [default: as many as fit]"
    ),
    click.option(
        "--gpus-per-trial",
        type=click.FloatRange(0),
        help="GPUs of each trial; with a fraction, trials share one. [default: 1 if there are GPUs]",
    ),
    click.option("--cpus-per-trial", type=click.IntRange(1), help="CPU cores of each trial. [default: an even share]"),
    click.option(
        "--max-failures",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="How often a trial whose process died is started again.",
    ),
    click.option("--wandb", is_flag=True, help="Also log the trials to Weights & Biases; needs the package wandb."),
    click.option(
        "--address", help="The address of a running Ray cluster; 'auto' on its head node. [default: this machine]"
    ),
)
FOLDS = (
    click.option(
        "--folds",
        type=click.IntRange(2),
        default=5,
        show_default=True,
        help="The number of folds, of which a trial can leave out one.",
    ),
    click.option(
        "--folds-by",
        type=Choice(["sgkf", "multilabel", "random", "predefined"]),
        default="sgkf",
        show_default=True,
        help="What the folds balance: annotations by class (sgkf); classes, their number and area (multilabel); photos "
        "(random); or --folds-file sets them (predefined).",
    ),
    click.option(
        "--folds-file",
        metavar="FILE",
        help="A JSON or CSV file with the fold of each image, for --folds-by predefined.",
    ),
)
PSEUDO = (
    click.option(
        "--pseudo", metavar="DIR", help="A COCO data set with pseudo-labels to train on as well: see docs/serving.md."
    ),
    click.option(
        "--pseudo-weight",
        type=float,
        default=0.5,
        show_default=True,
        help="The weight in the loss of a photo with pseudo-labels; a labelled photo has 1.",
    ),
)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def with_options(options: tuple[Callable, ...]) -> Callable:
    """Return a decorator that adds all options, to be shown in this order."""

    def add(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def example(command: str) -> str:
    """Return the end of a help text that shows one use of the command, on a line of its own."""
    return f"\b\nExample:\n  {command}"


def make_console(*, as_json: bool = False) -> Console:
    """Return a console that shows every text as it is, without looking for markup or for numbers to colour.

    A command that prints its result `as_json` shows all else on standard error.
    """
    return Console(markup=False, highlight=False, stderr=as_json)


def typed_flags(context: click.Context) -> set[str]:
    """Return the names of the flags that were typed rather than left at their defaults."""
    typed = click.core.ParameterSource.COMMANDLINE
    return {name for name in context.params if context.get_parameter_source(name) == typed}


def typed_line(context: click.Context) -> str:
    """Return the command as it was typed, for messages that say how to resume."""
    if context.parent is None:  # run.py is one command, and `segvote` has several
        return shlex.join(["python", "search/run.py", *context.obj])
    return shlex.join(["segvote", *context.obj])


def seconds(text: str | None) -> float | None:
    """Return the seconds of a text like 90s, 30m, 8h or 2d; None of None. Raises UserError for any other text."""
    if text is None:
        return None
    if re.fullmatch(r"\d*\.?\d+", text):
        raise UserError(f"--time-budget {text} has no unit: write {text}s, {text}m, {text}h or {text}d")
    number, unit = text[:-1], text[-1:]
    try:
        value = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"--time-budget is {text!r}, but must be a time like 90s, 30m, 8h or 2d")
    return value


def flags_to_settings(flags: dict[str, Any]) -> dict[str, Any]:
    """Return keywords for settings: the time budget in seconds, the rest as it is."""
    return {**flags, "time_budget": seconds(flags["time_budget"])}
