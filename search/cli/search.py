"""The options of `segvote search`, whose command is in search/run.py."""

from collections.abc import Callable

import click
from rich.console import Console

from search.cli.options import (
    DATA_FILES,
    EDITS,
    FOLDS,
    JSON,
    PLACES,
    PSEUDO,
    RESOURCES,
    UNLABELLED,
    Choice,
    with_options,
)

OPTIONS = (
    click.option(
        "--space",
        default="quickstart",
        show_default=True,
        help="The name of a space, or the path of your own .py file.",
    ),
    click.option("--list-spaces", is_flag=True, help="Show the spaces and their choices, and exit."),
    click.option(
        "--data", metavar="DIR", help="A COCO data set with train.json, or 'sample'. [default: ./data, else sample]"
    ),
    UNLABELLED,
    *DATA_FILES,
    EDITS,
    *PSEUDO,
    click.option(
        "--image-size", metavar="N|WxH", help="Photos are resized to this many pixels. [default: the space's]"
    ),
    click.option("--epochs", type=click.IntRange(1), help="Epochs of each trial. [default: the space's]"),
    click.option("--trials", type=click.IntRange(1), help="How many trials to run. [default: the space's]"),
    *FOLDS,
    click.option(
        "--holdout-fraction",
        type=click.FloatRange(0.05, 0.9),
        default=0.2,
        show_default=True,
        help="The share of train.json that is held out if there is no val.json.",
    ),
    click.option(
        "--holdout",
        type=Choice(["val", "scenes"]),
        default="val",
        show_default=True,
        help="The holdout: val.json, or whole scenes of all labelled photos. Without val.json: whole scenes.",
    ),
    click.option(
        "--group-by",
        metavar="REGEX",
        help="Photos are one scene if this regular expression matches the same text in their names.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),  # what all random generators take
        default=0,
        show_default=True,
        help="The seed of splits, sampler and trials, unless the space or --fix sets another for the trials.",
    ),
    click.option(
        "--fix", multiple=True, metavar="KEY=VALUE…", help="Pin choices of the space: --fix head=fpn lr=1e-3."
    ),
    click.option(
        "--choices",
        multiple=True,
        metavar="KEY=A,B…",
        help="Narrow choices to some values, or a range to two ends: --choices head=unet,fpn lr=1e-4,1e-3.",
    ),
    click.option(
        "--grid",
        multiple=True,
        metavar="KEY[=A,B]…",
        help="Vary only this factor, over all its values or those given; several factors are combined.",
    ),
    click.option(
        "--seeds",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Train each point of the --grid with this many seeds, to separate effects from chance.",
    ),
    click.option(
        "--all-folds", is_flag=True, help="Train each point of the --grid once for every fold that is left out."
    ),
    click.option(
        "--pretrained/--no-pretrained",
        default=None,
        help="Start backbones from ImageNet weights. [default: the space's]",
    ),
    click.option(
        "--weights-dir",
        metavar="DIR",
        help="A directory with <timm name>.safetensors of each backbone, to avoid downloads.",
    ),
    click.option(
        "--init-from", metavar="FILE", help="A checkpoint of the backbone from elsewhere: see docs/models.md."
    ),
    click.option(
        "--init-partial", is_flag=True, help="Allow --init-from to lack more than a tenth of the backbone's parameters."
    ),
    click.option(
        "--scheduler",
        type=click.Choice(["stop", "promote"]),
        default="promote",
        show_default=True,
        help="What happens at a rung, an epoch at which trials are compared: weak ones stop (stop), or all pause and "
        "the best go on when a slot is free (promote).",
    ),
    click.option(
        "--grace-period",
        type=click.IntRange(1),
        help="Pause or stop no trial before this epoch. [default: the space's, or epochs / 27, with stop epochs / 9]",
    ),
    click.option(
        "--reduction-factor",
        type=click.FloatRange(1.1),
        default=3.0,
        show_default=True,
        help="At each rung, one in this many trials continues.",
    ),
    click.option(
        "--brackets", type=click.IntRange(1), default=1, show_default=True, help="The number of ASHA brackets."
    ),
    click.option(
        "--learn-from",
        multiple=True,
        metavar="STUDY…",
        help="Studies of the runs directory, also on other data, whose trials tell what to try first.",
    ),
    *RESOURCES,
    click.option("--name", help="The name of the study. [default: the space and the time]"),
    click.option("--resume", is_flag=True, help="Resume the study of this --name, or the newest of this space."),
    *PLACES,
    click.option("--all-candidates", is_flag=True, help="Allow trials that were stopped before the last rung to vote."),
    click.option(
        "--max-members", type=click.IntRange(1), default=15, show_default=True, help="The most members of the vote."
    ),
    JSON,
    click.option(
        "--dry-run", is_flag=True, help="Show data, splits, resources and first configurations, and train nothing."
    ),
)


def search_options(command: Callable) -> Callable:
    """Decorate the command with all options of a search."""
    return with_options(OPTIONS)(command)


def list_spaces(console: Console) -> int:
    """Show every space of spaces/ with its choices; return the exit code."""
    from search.report.console import say
    from search.study.space import describe_spaces

    for name, summary, choices in describe_spaces():
        say(console, f"{name}  {summary}", style="bold")
        for choice in choices.values():
            say(console, f"    {choice.name:<22} {choice}")
    return 0
