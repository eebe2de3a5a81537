"""The number of trials that a study is to have, from the settings in its study.json."""

import dataclasses
from pathlib import Path
from typing import Any

from search.study.settings import Settings
from search.study.space import Space, grid_points, make_space, repeats
from search.study.space_file import find_space
from trainables.errors import UserError


def planned_trials(stored: dict[str, Any], directory: Path) -> int | None:
    """Return the number of the grid's points, or of the trials asked for, of the study in `directory`.

    Returns None where the file of its space is missing.
    """
    if stored.get("trials") and not stored.get("grid"):
        return stored["trials"]
    stored = stored | {"space": find_space(stored.get("space", ""), directory)}
    known = {field.name for field in dataclasses.fields(Settings)}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items() if key in known}
    try:
        if not stored.get("grid"):
            return Space.load(stored["space"]).trials
        settings = Settings(**values)
        return len(grid_points(make_space(settings), settings.grid, repeats(settings)))
    except (UserError, KeyError):
        return None
