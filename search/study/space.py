"""Spaces as the search sees them: loaded by name or file, pinned by flags, and described."""

import dataclasses
import importlib.util
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from search.study.settings import Settings
from spaces import SPACES
from trainables.config import TrialConfig
from trainables.errors import UserError

DEFAULT_TRIALS = 20


@dataclass(frozen=True)
class Space:
    """A space and what the flags pin of it. Calling it with an Optuna trial returns that trial's plain configuration.

    `fixed` are values by key, of a suggestion or of the result; `folds` is how many the study has.
    """

    name: str
    module: ModuleType
    fixed: dict[str, Any] = field(default_factory=dict)
    folds: int | None = None

    @classmethod
    def load(cls, name: str, fixed: dict[str, Any] | None = None, folds: int | None = None) -> "Space":
        """A space by its name in spaces/ or the path of a user's own file; UserError if it is neither."""
        return cls(name, _load_module(name), fixed or {}, folds)

    def __reduce__(self) -> tuple:
        return Space.load, (self.name, self.fixed, self.folds)  # a module cannot be pickled, its name can

    @property
    def trials(self) -> int:
        return getattr(self.module, "TRIALS", DEFAULT_TRIALS)

    @property
    def grace_period(self) -> int | None:
        return getattr(self.module, "GRACE_PERIOD", None)

    @property
    def data(self) -> str | None:
        return getattr(self.module, "DATA", None)

    @property
    def recipes(self) -> list[dict[str, Any]]:
        """The module's RECIPES, suggestions to try before any is drawn, that say nothing else than what is pinned."""
        fitting = [
            {name: value for name, value in recipe.items() if name not in self.fixed}
            for recipe in getattr(self.module, "RECIPES", ())
            if all(self.fixed.get(name, value) == value for name, value in recipe.items())
        ]
        return [recipe for recipe in fitting if recipe]

    def __call__(self, trial: Any) -> dict[str, Any]:
        values = self.module.suggest(_Pinned(trial, self.fixed, self.folds))
        if not isinstance(values, dict):
            raise UserError(
                f"suggest(trial) of space {self.name} returned {type(values).__name__}, but must return a dict"
            )
        return {
            **values,
            **{key: value for key, value in self.fixed.items() if key not in self._suggested_only(values)},
        }

    def _suggested_only(self, values: dict[str, Any]) -> set[str]:
        """Pinned suggestions that are no keys of the result: the space turns them into other keys itself."""
        return {name for name in self.choices if name not in values}

    @property
    def choices(self) -> dict[str, "Choice"]:
        """Every suggestion of the space by name, also those that only some choices of others lead to."""
        if not hasattr(self, "_choices"):
            object.__setattr__(self, "_choices", _explore(self))
        return self._choices

    def first(self, **pinned: Any) -> dict[str, Any]:
        """The configuration of first choices and middle values, with `pinned` (and the flags' values) instead."""
        space = Space(self.name, self.module, {**self.fixed, **pinned}, self.folds)
        try:
            return space(_FirstChoice({}))
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"suggest(trial) of space {self.name} fails: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Choice:
    """One suggestion: the values of a categorical one, or the range of a number."""

    name: str
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False

    def __str__(self) -> str:
        if self.values:
            return " | ".join(map(str, self.values))
        return f"{self.low:g} … {self.high:g}" + (" (log scale)" if self.log else "")


def _load_module(name: str) -> ModuleType:
    if name in SPACES:
        return SPACES[name]
    path = Path(name)
    if path.suffix != ".py":
        raise UserError(f"unknown space {name!r}, choose one of {', '.join(SPACES)}, or give the path of a .py file")
    if not path.is_file():
        raise UserError(f"there is no space file {path}: give the path of a .py file with a function suggest(trial)")
    spec = importlib.util.spec_from_file_location(f"segvote_space_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"the space file {path} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(getattr(module, "suggest", None)):
        raise UserError(f"the space file {path} has no function suggest(trial): it must return a dict of plain choices")
    return module


def parse_fix(pairs: tuple[str, ...]) -> dict[str, Any]:
    """{key: value} from "key=value" texts; numbers, true and false are read as such."""
    fixed = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not (key and equals):
            raise UserError(f"--fix {pair} is not understood: write --fix key=value, like --fix backbone=resnet50")
        fixed[key] = parse_value(key, text)
    return fixed


def parse_value(key: str, text: str) -> Any:
    if key == "image_size":  # a text in TrialConfig, though it may look like a number
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, int | float | bool) else text


def check_fixed(space: Space, known: set[str]) -> None:
    """UserError for a pinned key that neither the space suggests nor a configuration has."""
    for key in space.fixed:
        if key not in known and key not in space.choices:
            suggested = ", ".join(space.choices)
            raise UserError(
                f"--fix {key}: unknown key; {space.name} suggests {suggested}; further keys: {', '.join(sorted(known))}"
            )


def grid_points(space: Space, grid: tuple[str, ...]) -> list[dict[str, Any]]:
    """One configuration per combination of the grid's values, everything else first or pinned; [] without a grid."""
    if not grid:
        return []
    axes = []
    for text in grid:
        key, _, listed = text.partition("=")
        values = [parse_value(key, value) for value in listed.split(",")] if listed else _all_values(space, key)
        axes.append([(key, value) for value in values])
    return [space.first(**dict(point)) for point in itertools.product(*axes)]


def _all_values(space: Space, key: str) -> list[Any]:
    choice = space.choices.get(key)
    if choice is None:
        raise UserError(
            f"--grid {key}: {space.name} does not vary it; "
            f"write --grid {key}=a,b,c or one of {', '.join(space.choices)}"
        )
    if not choice.values:
        raise UserError(
            f"--grid {key}: it is a range ({choice}), so name the values: --grid {key}={choice.low:g},{choice.high:g}"
        )
    return list(choice.values)


class _Pinned:
    """Stands between a space and its trial: answers pinned names itself, passes the others on."""

    def __init__(self, trial: Any, fixed: dict[str, Any], folds: int | None) -> None:
        self._trial, self._fixed, self._folds = trial, fixed, folds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)  # number, params and what else a space may ask of an Optuna trial

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        if name in self._fixed:
            return self._fixed[name]
        if name == "fold" and self._folds is not None:
            choices = [fold for fold in choices if not isinstance(fold, int) or fold < self._folds]
        return self._trial.suggest_categorical(name, choices)

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        return self._fixed[name] if name in self._fixed else self._trial.suggest_float(name, low, high, **how)

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> int:
        return self._fixed[name] if name in self._fixed else self._trial.suggest_int(name, low, high, **how)


class _FirstChoice:
    """A trial that answers with first choices and middles of ranges, save what `wanted` says, and notes the choices."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self._wanted = wanted
        self.number = 0
        self.seen: dict[str, Choice] = {}

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.seen[name] = Choice(name, values=tuple(choices))
        return self._wanted.get(name, self.seen[name].values[0])

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.seen[name] = Choice(name, low=low, high=high, log=log)
        middle = (low * high) ** 0.5 if log else (low + high) / 2
        return low + round((middle - low) / step) * step if step else middle

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.seen[name] = Choice(name, low=low, high=high, log=log)
        middle = (low * high) ** 0.5 if log else (low + high) / 2
        return low + round((middle - low) / step) * step


def _explore(space: Space) -> dict[str, Choice]:
    """Runs `suggest` once per value of every categorical suggestion: what conditions hide, one of these runs shows."""
    found: dict[str, Choice] = {}
    waiting: list[dict[str, Any]] = [{}]
    tried: set[str] = set()
    while waiting:
        wanted = waiting.pop(0)
        key = json.dumps(wanted, sort_keys=True, default=str)
        if key in tried:
            continue
        tried.add(key)
        trial = _FirstChoice(wanted)
        _run_once(space, trial, required=not wanted)
        new = [choice for name, choice in trial.seen.items() if name not in found]
        found.update({choice.name: choice for choice in new})
        waiting += [{**wanted, choice.name: value} for choice in new for value in choice.values[1:]]
    return found


def _run_once(space: Space, trial: _FirstChoice, *, required: bool) -> None:
    try:
        space.module.suggest(_Pinned(trial, {}, space.folds))
    except Exception as error:
        if required:
            raise UserError(f"suggest(trial) of space {space.name} fails: {type(error).__name__}: {error}") from error


def describe_spaces() -> Iterator[tuple[str, str, dict[str, Choice]]]:
    """(name, first line of its docstring, choices) of every space in spaces/."""
    for name, module in SPACES.items():
        yield name, (module.__doc__ or "").strip().splitlines()[0], Space(name, module).choices


def make_space(settings: Settings) -> Space:
    """The space with everything that flags pin; UserError for a pinned key that nobody knows."""
    pinned = {
        "epochs": settings.epochs,
        "image_size": settings.image_size,
        "pretrained": settings.pretrained,
        "weights_dir": settings.weights_dir,
        "init_from": settings.init_from,
        "init_partial": settings.init_partial or None,
        "seed": settings.seed,
    }
    fixed = parse_fix(settings.fix) | {key: value for key, value in pinned.items() if value is not None}
    space = Space.load(settings.space, fixed, settings.folds)
    check_fixed(space, {field.name for field in dataclasses.fields(TrialConfig)})
    return space
