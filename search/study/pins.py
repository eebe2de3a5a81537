"""The values that the flags --fix, --choices and --grid pin, narrow and vary in a space, read and checked."""

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from search.study.choices import Choice
from trainables.config import TrialConfig
from trainables.errors import UserError, nearest

KEYS = {field.name: field.type for field in dataclasses.fields(TrialConfig)}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def parse_fix(pairs: Sequence[str]) -> dict[str, Any]:
    """Return {key: value} of texts like "key=value"; numbers and truth values are read as such.

    Raises UserError for a text without key and value, and for a key that has two values.
    """
    fixed: dict[str, Any] = {}
    for pair in pairs:
        key, text = _split("--fix", pair, "--fix backbone=resnet50")
        value = parse_value(key, text)
        if key in fixed and fixed[key] != value:
            raise UserError(f"--fix {key} is given as {fixed[key]} and as {value}: give one of them")
        fixed[key] = value
    return fixed


def parse_choices(pairs: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Return {key: values} of texts like "key=a,b". Raises UserError for any other text and for a repeated key."""
    narrowed: dict[str, tuple[Any, ...]] = {}
    for pair in pairs:
        key, text = _split("--choices", pair, "--choices head=unet,fpn")
        if key in narrowed:
            raise UserError(f"--choices {key} is given twice: give all its values at once, with commas between them")
        narrowed[key] = tuple(dict.fromkeys(parse_value(key, value) for value in _listed("--choices", pair, text)))
    return narrowed


def _split(flag: str, pair: str, example: str) -> tuple[str, str]:
    key, equals, text = (part.strip() for part in pair.partition("="))
    if not (key and equals and text):
        raise UserError(f"{flag} {pair} is not understood: write key=value, as in {example}")
    return key, text


def _listed(flag: str, pair: str, text: str) -> list[str]:
    values = [value.strip() for value in text.split(",")]
    if not all(values):
        raise UserError(f"{flag} {pair} has an empty value: write the values with commas between them and no spaces")
    return values


def parse_value(key: str, text: str) -> Any:
    """Return the value that `text` looks like: 1e-3 and .001 are numbers, true and False are truth values.

    It stays a text where the configuration's `key` takes one, although it may look like a number, as "512" does for
    image_size.
    """
    if KEYS.get(key) in (str, str | None):
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not NUMBER.fullmatch(text):
        return text
    try:
        return json.loads(text)  # 8 stays an int
    except ValueError:
        return float(text)


def check_key(flag: str, key: str, space: str, choices: dict[str, Choice]) -> None:
    """Raise UserError, with the nearest names, for a key that the space does not suggest and no configuration has.

    Args:
        flag: The flag that names the key, for the message.
        key: The key.
        space: The name of the space.
        choices: The suggestions of the space, by name.
    """
    if key in KEYS or key in choices:
        return
    hint = nearest(key, [*choices, *KEYS], most=2)
    raise UserError(
        f"{flag} {key}: unknown key{hint or f'; {space} suggests ' + ', '.join(choices)}"
        f"{'' if hint else '; further keys: ' + ', '.join(sorted(set(KEYS) - set(choices)))}"
    )


def check_narrowed(narrowed: dict[str, tuple[Any, ...]], space: str, choices: dict[str, Choice]) -> None:
    """Raise UserError where --choices names no suggestion of the space, or a value that it does not have."""
    for key, values in narrowed.items():
        choice = choices.get(key)
        if choice is None:
            hint = nearest(key, choices) or f": it suggests {', '.join(choices)}"
            raise UserError(f"--choices {key}: the space {space} does not suggest it{hint}")
        if not choice.values and len(values) != 2:
            raise UserError(
                f"--choices {key}: its choices are a range ({choice}), so give two ends, as in "
                f"--choices {key}={choice.low:g},{choice.high:g}, or pin it with --fix {key}={choice.low:g}"
            )
        for value in values:
            if not choice.allows(value):
                hint = nearest(value, choice.values)
                raise UserError(
                    f"--choices {key}: {value} is none of the values of {space}{hint}; they are {choice}. "
                    f"--grid {key}=… or a space of your own may have others"
                )


def check_recipes(recipes: Iterable[dict[str, Any]], space: str, choices: dict[str, Choice]) -> None:
    """Raise UserError where a recipe names no suggestion of the space, or a value that it cannot have."""
    for number, recipe in enumerate(recipes, start=1):
        if not isinstance(recipe, dict):
            raise UserError(f"recipe {number} of space {space} is {recipe!r}, but must be a dict of suggestions")
        for name, value in recipe.items():
            choice = choices.get(name)
            if choice is None:
                hint = nearest(name, choices) or f": it suggests {', '.join(choices)}"
                raise UserError(f"recipe {number} of space {space} sets {name!r}, which it does not suggest{hint}")
            if not choice.allows(value):
                hint = nearest(value, choice.values)
                raise UserError(
                    f"recipe {number} of space {space} sets {name!r} to {value!r}, which is not allowed{hint}: {choice}"
                )


def grid_axes(grid: Sequence[str], space: str, choices: dict[str, Choice]) -> list[dict[str, Any]]:
    """Return what each point of the grid pins, {key: value} for every combination; an empty list without a grid.

    Raises UserError for an unknown key, for a key without values that the space does not vary, and for a key that comes
    twice.
    """
    axes: dict[str, list[tuple[str, Any]]] = {}
    for text in grid:
        key, equals, listed = (part.strip() for part in text.partition("="))
        check_key("--grid", key, space, choices)
        if key in axes:
            raise UserError(f"--grid {key} is given twice: give all its values at once, with commas between them")
        values = _listed("--grid", text, listed) if equals else None
        values = [parse_value(key, value) for value in values] if values else _all_values(key, space, choices)
        axes[key] = [(key, value) for value in values]
    return [dict(point) for point in itertools.product(*axes.values())] if axes else []


def _all_values(key: str, space: str, choices: dict[str, Choice]) -> list[Any]:
    choice = choices.get(key)
    if choice is None:
        raise UserError(
            f"--grid {key}: the space {space} does not vary it, so name the values, as in --grid {key}=A,B; "
            f"it varies {', '.join(choices)}"
        )
    if not choice.values:
        raise UserError(
            f"--grid {key}: its choices are a range ({choice}), so name the values: "
            f"--grid {key}={choice.low:g},{choice.high:g}"
        )
    return list(choice.values)
