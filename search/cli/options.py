"""Flags that every command that trains trials has, and how they are read."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from trainables.errors import UserError

GPU_HELP = "GPUs per trial; fractions share one. [default: one, where there is any]"
RESOURCES = (
    click.option("--time-budget", metavar="TIME", help="End the training after 90s, 30m, 8h or 2d."),
    click.option("--concurrency", type=click.IntRange(1), help="Trials side by side. [default: as many as fit]"),
    click.option("--gpus-per-trial", type=click.FloatRange(0), help=GPU_HELP),
    click.option("--cpus-per-trial", type=click.IntRange(1), help="CPU cores per trial. [default: an even share]"),
    click.option(
        "--max-failures",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="Times that a trial whose process died is started again.",
    ),
    click.option("--address", help="Of a running Ray cluster; 'auto' on its head node. [default: this machine]"),
)
PLACES = (
    click.option(
        "--runs-dir", default="runs", show_default=True, metavar="DIR", help="Where studies are; seen by all nodes."
    ),
    click.option(
        "--cache-dir", default="~/.cache/segvote", show_default=True, metavar="DIR", help="Decoded photos, per node."
    ),
    click.option("--tracking-uri", metavar="URI", help="Of MLflow. [default: a SQLite file in the runs directory]"),
)
PSEUDO = (
    click.option("--pseudo", metavar="DIR", help="Pseudo-labels to train on as well, as COCO: see the README."),
    click.option(
        "--pseudo-weight",
        type=float,
        default=0.5,
        show_default=True,
        help="Of a photo with pseudo-labels in the loss; a labelled one has 1.",
    ),
)


def with_options(options: tuple[Callable, ...]) -> Callable:
    """A decorator that adds them all, to be shown in this order."""

    def add(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def typed_flags(context: click.Context) -> set[str]:
    """Names of the flags that were typed, rather than left at their defaults."""
    typed = click.core.ParameterSource.COMMANDLINE
    return {name for name in context.params if context.get_parameter_source(name) == typed}


def typed_line(context: click.Context) -> str:
    """The command as it was typed, for saying how to go on."""
    script = Path(sys.argv[0]).name
    start = "python search/run.py" if script == "run.py" else f"segvote {context.info_name}"
    rest = sys.argv[1:] if script == "run.py" else sys.argv[2:]
    return shlex.join([*shlex.split(start), *rest])


def seconds(text: str | None) -> float | None:
    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"--time-budget is {text!r}, but must be a time like 90s, 30m, 8h or 2d")
    return value


def flags_to_settings(flags: dict[str, Any]) -> dict[str, Any]:
    """Keywords for settings: the time budget in seconds, the rest as it is."""
    return {**flags, "time_budget": seconds(flags["time_budget"])}
