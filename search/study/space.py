"""A search space: loaded by name or from a file, pinned and narrowed by flags, and described."""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from search.study.choices import Choice, FirstChoices, explore, plain, plain_choices
from search.study.pins import check_key, check_narrowed, check_recipes, grid_axes, parse_choices, parse_fix
from search.study.settings import Settings
from spaces import SPACES
from trainables.errors import UserError, nearest

DEFAULT_TRIALS = 20
CONSTANTS = {  # that a space file may have beside suggest(trial)
    "TRIALS": (int, "a whole number of 1 or more"),
    "GRACE_PERIOD": (int, "a whole number of epochs, 1 or more"),
    "DATA": (str, "a text: the directory of a data set, or 'sample'"),
    "RECIPES": (list | tuple, "a list of dicts of suggestions"),
}


@dataclass(frozen=True)
class Space:
    """A space with what flags pin and narrow. Called with an Optuna trial, it returns that trial's plain configuration.

    `fixed` holds values by key, of a suggestion or of the result. `narrowed` holds the values that are left of a
    categorical suggestion, or the two ends of a range. `defaults` holds values of the result that the space may set
    itself. `folds` is the number of folds of the study.
    """

    name: str
    module: ModuleType
    fixed: dict[str, Any] = field(default_factory=dict)
    folds: int | None = None
    narrowed: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, name: str, fixed: dict[str, Any] | None = None, folds: int | None = None, **more: Any) -> "Space":
        """Return a space by its name in spaces/ or the path of a user's own file; UserError if it is neither."""
        return cls(name, _load_module(name), fixed or {}, folds, **more)

    def __reduce__(self) -> tuple:
        # A module cannot be pickled, but its name can.
        return _load_space, (self.name, self.fixed, self.folds, self.narrowed, self.defaults)

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
    def scores_test(self) -> bool:
        """Return whether a search of this space ends with the score of its vote on the test photos."""
        return getattr(self.module, "SCORE_TEST", False)

    @property
    def recipes(self) -> list[dict[str, Any]]:
        """Return those of the module's RECIPES that the pins and the narrowed choices leave possible.

        Recipes are suggestions that are tried before any is drawn. Pinned values are left out of them. Raises UserError
        for a recipe that the space itself could never suggest.
        """
        recipes = [
            {name: plain(value) for name, value in recipe.items()} if isinstance(recipe, dict) else recipe
            for recipe in getattr(self.module, "RECIPES", ())
        ]
        check_recipes(recipes, self.name, replace(self, fixed={}, narrowed={}).choices)
        fitting = [
            {name: value for name, value in recipe.items() if name not in self.fixed}
            for recipe in recipes
            if all(self._allows(name, value) for name, value in recipe.items())
        ]
        return [recipe for recipe in fitting if recipe]

    def _allows(self, name: str, value: Any) -> bool:
        return self.fixed.get(name, value) == value and self.choices[name].allows(value)

    def __call__(self, trial: Any) -> dict[str, Any]:
        values = self._suggest(trial)
        if not isinstance(values, dict):
            raise UserError(
                f"suggest(trial) of space {self.name} returned {type(values).__name__}, but must return a dict"
            )
        # The space itself has turned a pinned suggestion that is no key of the result into other keys.
        pinned = {key: value for key, value in self.fixed.items() if key in values or key not in self.choices}
        return {**self.defaults, **{key: plain(value) for key, value in values.items()}, **pinned}

    def _suggest(self, trial: Any) -> Any:
        with redirect_stdout(sys.stderr):  # what a space prints is no part of the result, which may be JSON
            return self.module.suggest(_Flagged(trial, self))

    @property
    def choices(self) -> dict[str, Choice]:
        """Return every suggestion of the space by name, narrowed but not pinned.

        Suggestions that only some choices of others lead to are included.
        """
        if not hasattr(self, "_choices"):
            object.__setattr__(self, "_choices", explore(self.name, replace(self, fixed={})._suggest))
        return self._choices

    @property
    def varies(self) -> bool:
        """Return whether trials can differ: whether any suggestion is left that is not pinned to one value."""
        return any(choice.varies and name not in self.fixed for name, choice in self.choices.items())

    def first(self, **pinned: Any) -> dict[str, Any]:
        """Return the configuration of first choices and middle values, with `pinned` and the flags' values instead.

        Raises UserError where the space's function fails.
        """
        try:
            return replace(self, fixed={**self.fixed, **pinned})(FirstChoices({}))
        except UserError:
            raise
        except (Exception, SystemExit) as error:  # a user's code
            raise UserError(f"suggest(trial) of space {self.name} fails: {type(error).__name__}: {error}") from error


def _load_space(
    name: str,
    fixed: dict[str, Any],
    folds: int | None,
    narrowed: dict[str, tuple[Any, ...]],
    defaults: dict[str, Any],
) -> Space:
    return Space.load(name, fixed, folds, narrowed=narrowed, defaults=defaults)


def _load_module(name: str) -> ModuleType:
    if name in SPACES:
        return SPACES[name]
    path = Path(name)
    if path.suffix != ".py":
        raise UserError(
            f"unknown space {name!r}{nearest(name, SPACES)}: choose one of {', '.join(SPACES)}, or give the path of a "
            ".py file"
        )
    if not path.is_file():
        raise UserError(f"there is no space file {path}: give the path of a .py file with a function suggest(trial)")
    spec = importlib.util.spec_from_file_location(f"segvote_space_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    beside = str(path.resolve().parent)
    if beside not in sys.path:
        sys.path.append(beside)  # the user's other modules; last, so that they replace none of an installed package
    try:
        with redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a user's code
        raise UserError(f"the space file {path} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(getattr(module, "suggest", None)):
        raise UserError(f"the space file {path} has no function suggest(trial): it must return a dict of plain choices")
    _check_constants(module, path)
    return module


def _check_constants(module: ModuleType, path: Path) -> None:
    """Raise UserError for a constant beside suggest(trial) that is of another type, or a number below 1."""
    for name, (kind, what) in CONSTANTS.items():
        value = getattr(module, name, None)
        number = isinstance(value, int)
        if value is not None and (not isinstance(value, kind) or (number and (value is True or value < 1))):
            raise UserError(f"the space file {path} sets {name} to {value!r}, but it must be {what}")


class _Flagged:
    """A wrapper of a trial that answers pinned names itself, narrows the other suggestions and passes them on."""

    def __init__(self, trial: Any, space: Space) -> None:
        self._trial, self._space = trial, space

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)  # number, params and the other attributes of an Optuna trial

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        if name in self._space.fixed:
            return self._space.fixed[name]
        choices = plain_choices(choices)
        if name in self._space.narrowed:
            left = [value for value in choices if value in self._space.narrowed[name]]
            choices = left or choices  # where the space offers none of them under this condition, nothing is narrowed
        if name == "fold" and self._space.folds is not None:
            choices = [fold for fold in choices if not isinstance(fold, int) or fold < self._space.folds]
        return self._trial.suggest_categorical(name, choices)

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        if name in self._space.fixed:
            return self._space.fixed[name]
        return self._trial.suggest_float(name, *self._range(name, low, high), **how)

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> int:
        if name in self._space.fixed:
            return self._space.fixed[name]
        return self._trial.suggest_int(name, *self._range(name, low, high), **how)

    def _range(self, name: str, low: float, high: float) -> tuple[float, float]:
        ends = self._space.narrowed.get(name, (low, high))
        return max(low, min(ends)), min(high, max(ends))


def repeats(settings: Settings) -> list[dict[str, Any]]:
    """Return what each repetition of a grid's points pins: every fold with every seed, if the flags ask for them."""
    seeds = [{"seed": settings.seed + offset} for offset in range(settings.seeds)] if settings.seeds > 1 else [{}]
    folds = [{"fold": fold} for fold in range(settings.folds)] if settings.all_folds else [{}]
    return [seed | fold for seed in seeds for fold in folds]


def grid_points(
    space: Space, grid: tuple[str, ...], repetitions: Sequence[dict[str, Any]] = ({},)
) -> list[dict[str, Any]]:
    """Return one configuration for each combination of the grid's values; an empty list without a grid.

    Everything else has its pinned value or first choice. The points are repeated for each of the `repetitions`, with
    the values that it pins. Raises UserError for a key that is on the grid and also pinned, or varied by the
    repetitions.
    """
    axes = grid_axes(grid, space.name, space.choices) if grid else []
    for key in axes[0] if axes else ():
        if key in space.fixed:
            raise UserError(f"{key} is pinned to {space.fixed[key]} and also on the --grid: leave one out")
    for key in repetitions[0]:
        if axes and (key in axes[0] or key in space.fixed):
            flag = {"seed": "--seeds", "fold": "--all-folds"}[key]
            raise UserError(f"{flag} varies the {key}, which another flag also sets: leave one out")
    return [space.first(**repetition, **point) for repetition in repetitions for point in axes]


def describe_spaces() -> Iterator[tuple[str, str, dict[str, Choice]]]:
    """Yield (name, first line of its docstring, choices) of every space in spaces/."""
    for name, module in SPACES.items():
        yield name, (module.__doc__ or "").strip().splitlines()[0], Space(name, module).choices


def make_space(settings: Settings) -> Space:
    """Return the space with all values that flags pin and narrow.

    Raises UserError for a pinned key that is unknown, for a value that the space does not have, and for two flags that
    pin one key to different values.
    """
    pinned = {
        "epochs": settings.epochs,
        "edits": settings.edits,
        "image_size": settings.image_size,
        "pretrained": settings.pretrained,
        "weights_dir": settings.weights_dir,
        "init_from": settings.init_from,
        "init_partial": settings.init_partial or None,
    }
    pinned = {key: value for key, value in pinned.items() if value is not None}
    fixed, narrowed = parse_fix(settings.fix), parse_choices(settings.choices)
    for key in fixed.keys() & pinned.keys():
        if fixed[key] != pinned[key]:
            raise UserError(f"--fix {key}={fixed[key]} contradicts the flag that says {pinned[key]}: give one of them")
    for key in narrowed.keys() & (fixed | pinned).keys():
        raise UserError(f"{key} is pinned to {(fixed | pinned)[key]} and also narrowed by --choices: leave one out")
    # The trials have the seed of the study, unless the space or --fix sets another.
    space = Space.load(settings.space, fixed | pinned, settings.folds, defaults={"seed": settings.seed})
    for key in fixed:
        check_key("--fix", key, space.name, space.choices)
    check_narrowed(narrowed, space.name, space.choices)
    return replace(space, narrowed=narrowed)
