"""What a search was asked for, checked within a second or two: names, paths and the space.

torch, ray and mlflow are imported only after this: that takes up to a minute on a busy machine, and a mistyped name is
to be answered at once. What needs them, or the data set itself, is checked by the steps that follow.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from search.report.console import say
from search.study.choices import FirstChoices, branches
from search.study.data_place import BUILT_IN, data_directory
from search.study.manifest import read_manifest
from search.study.pins import KEYS
from search.study.settings import FLAGS, Settings, resumed
from search.study.space import Space, grid_points, make_space, repeats
from search.study.space_file import find_space, has_changed, is_space_of
from search.study.study import check_name, data_root, stored_settings, study_name
from search.tracking.store_file import check_answers, check_writable, place_of_store
from search.tuning.searchers.other_studies import read_other_studies
from trainables.config import TrialConfig
from trainables.data.layout import is_dataset
from trainables.errors import UserError
from trainables.known_names import check_name as check_known
from trainables.trial.study_files import SPACE

NOT_WITH_A_GRID = ("trials", "scheduler", "grace_period", "reduction_factor", "brackets")


def check_flags(settings: Settings, given: set[str], console: Console) -> Settings:
    """Return `settings` with its name, the flags that a resumed study was started with, and the place of its data.

    `given` are the flags that were typed. Raises UserError for whatever names something that there is not.
    """
    name = study_name(settings)
    check_name(settings, name)
    if settings.resume:
        if is_space_of(settings.space, settings.runs_dir / name):
            given = given - {"space"}  # the same file, whatever its path
        settings = _where_it_lies_now(resumed(settings, given, stored_settings(settings, name)), given, name)
        if has_changed(settings.space, settings.runs_dir / name):
            say(
                console,
                f"{settings.space} has changed since the study began: trials that are begun from now on are drawn from "
                f"it as it is now. The file as it was is {settings.runs_dir / name / SPACE}.",
                style="yellow",
            )
    settings = _with_data(dataclasses.replace(settings, name=name), console)
    _check_grid(settings, given)
    space = make_space(settings)
    check_space(space, settings)
    if not settings.resume:
        read_other_studies(settings, space)
    _check_pattern(settings.group_by)
    check_writable(settings.runs_dir, "--runs-dir")
    check_answers(settings.tracking_uri)
    if "space" not in given and not settings.resume and settings.data != BUILT_IN:
        say(
            console,
            f"No --space was given: {settings.space} trains small models for a short time, to see that everything "
            "works. For scores that count, name another: segvote search --list-spaces shows them.",
            style="yellow",
        )
    return settings


def _check_pattern(group_by: str | None) -> None:
    try:
        re.compile(group_by or "")
    except re.error as error:
        raise UserError(f"--group-by {group_by!r} is no regular expression: {error}") from error


def _where_it_lies_now(settings: Settings, given: set[str], name: str) -> Settings:
    """Return the settings of a resumed study with the places of its space file, store and data, which may be others."""
    directory = settings.runs_dir / name
    settings = dataclasses.replace(settings, space=find_space(settings.space, directory))
    if "tracking_uri" not in given:
        uri = place_of_store(settings.tracking_uri, settings.runs_dir)
        settings = dataclasses.replace(settings, tracking_uri=uri)
    if "data" in given or settings.data == BUILT_IN:
        return settings
    return dataclasses.replace(settings, data=str(data_root(directory, read_manifest(directory))))


def check_space(space: Space, settings: Settings) -> None:
    """Raise UserError where the space, with the flags' values, has a name, value or recipe that cannot be trained."""
    for choice in space.choices.values():
        if choice.name in KEYS and choice.name not in space.fixed:
            for value in choice.values:
                check_known(choice.name, value)
    recipes = space.recipes  # looks at each of them
    if settings.grid:
        points = grid_points(space, settings.grid, repeats(settings))
        for params in points:
            _check_trainable(params, space)
        if not settings.resume:
            _check_points_differ(points, settings.grid)
        return
    for branch in branches(space.name, space):
        if branch.values is not None:
            _check_trainable(branch.values, space, f", where {branch.where}" if branch.where else "")
    for number, recipe in enumerate(recipes, start=1):
        _check_trainable(space(FirstChoices(recipe)), space, f", recipe {number}")


def _check_grid(settings: Settings, given: set[str]) -> None:
    """Raise UserError for a flag that says how trials are drawn or stopped beside a grid, which does neither."""
    of_no_use = [name for name in NOT_WITH_A_GRID if name in given]
    if settings.grid and of_no_use and not settings.resume:
        raise UserError(
            f"{FLAGS[of_no_use[0]]} does not go with --grid, which trains each of its points to the end: leave one out"
        )


def _check_points_differ(points: Sequence[dict[str, Any]], grid: Sequence[str]) -> None:
    """Raise UserError where two points of a grid are one configuration."""
    for number, point in enumerate(points, start=1):
        if point in points[: number - 1]:
            raise UserError(
                f"--grid {' '.join(grid)}: points {points.index(point) + 1} and {number} are the same configuration. "
                "Either a value is given twice, or the space asks for a factor only where another choice leads to it: "
                "then pin that choice with --fix"
            )


def _check_trainable(params: dict[str, Any], space: Space, where: str = "") -> None:
    """Raise UserError for a configuration of the space that cannot be trained.

    The message names the space, and `where` in it the configuration was made. It does not where the flags are wrong:
    that is so for a configuration of first choices that could be trained if the flags pinned nothing.
    """
    try:
        TrialConfig.from_dict(params)
    except UserError as error:
        if not where and params != (own := dataclasses.replace(space, fixed={}).first()):
            _check_trainable(own, space)
            raise
        if where and space.fixed:
            pinned = ", ".join(f"{name}={value}" for name, value in space.fixed.items())
            raise UserError(
                f"space {space.name}{where} and with {pinned} pinned: {error}; pin more of it with --fix, or leave "
                "values out with --choices"
            ) from error
        raise UserError(f"space {space.name}{where}: {error}") from error


def _with_data(settings: Settings, console: Console) -> Settings:
    data = settings.data or Space.load(settings.space).data
    if data is None:
        data = str(Path("data").resolve()) if is_dataset(Path("data")) else BUILT_IN
        where = "./data" if data != BUILT_IN else "the built-in data set (there is no ./data/train.json)"
        say(console, f"No --data was given: training on {where}.")
    if data != BUILT_IN:
        data = str(data_directory(Path(data), console))
    if settings.pseudo:
        settings = dataclasses.replace(settings, pseudo=str(data_directory(Path(settings.pseudo), console, "--pseudo")))
    return dataclasses.replace(settings, data=data)
