"""What a space varies: every suggestion of its function `suggest`, found by calling it with made-up answers."""

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.errors import UserError

MAX_CALLS = 2000  # of `suggest`; a space with more combinations of nested conditions is explored in part


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

    def allows(self, value: Any) -> bool:
        """Return whether a suggestion can have this value."""
        if self.values:
            return any(self.same(value, one) for one in self.values)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high

    @staticmethod
    def same(value: Any, other: Any) -> bool:
        """Return whether two values are one choice; True and 1 are not."""
        return value == other and isinstance(value, bool) == isinstance(other, bool)


class FirstChoices:
    """A stand-in for an Optuna trial that answers with first choices and middles of ranges, or with what is `wanted`.

    `seen` holds every suggestion that was asked for, by name. A suggestion that Optuna would refuse raises UserError.
    """

    def __init__(self, wanted: dict[str, Any]) -> None:
        self._wanted = wanted
        self.number = 0
        self.seen: dict[str, Choice] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        from optuna.distributions import (
            CategoricalDistribution,
        )  # importing it takes nearly a second, which --help does not need

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna warns about values that only some of its storages can keep
            try:
                values = CategoricalDistribution(choices).choices
            except (ValueError, TypeError) as error:
                raise UserError(f"{name!r} has no usable choices: {error}") from error
        self._note(Choice(name, values=values))
        return self._wanted.get(name, self.seen[name].values[0])

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        from optuna.distributions import FloatDistribution

        self._note(Choice(name, low=low, high=high, log=log))
        self._refusing(name, FloatDistribution, low, high, log=log, step=step)
        middle = (low * high) ** 0.5 if log else (low + high) / 2
        return self._wanted.get(name, low + round((middle - low) / step) * step if step else middle)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        from optuna.distributions import IntDistribution

        self._note(Choice(name, low=low, high=high, log=log))
        self._refusing(name, IntDistribution, low, high, log=log, step=step)
        middle = (low * high) ** 0.5 if log else (low + high) / 2
        return self._wanted.get(name, low + round((middle - low) / step) * step)

    @staticmethod
    def _refusing(name: str, distribution: Callable[..., Any], low: float, high: float, **how: Any) -> None:
        try:
            distribution(low, high, **how)
        except (ValueError, TypeError) as error:
            raise UserError(f"{name!r} has the range {low} to {high}, which cannot be drawn from: {error}") from error

    def _note(self, choice: Choice) -> None:
        known = self.seen.setdefault(choice.name, choice)
        if known != choice:
            raise UserError(f"{choice.name!r} is suggested twice in one call, from {known} and from {choice}")


def explore(name: str, suggest: Callable[[Any], Any]) -> dict[str, Choice]:
    """Return every suggestion by name, also those that only some choices of others lead to.

    `suggest` is called once for every value of every categorical suggestion: what conditions hide, one of these calls
    shows. Raises UserError where the first call fails, and where one name stands for different choices: Optuna keeps
    one set of choices per name, and would refuse all others for the whole of the study.
    """
    found: dict[str, Choice] = {}
    waiting: list[dict[str, Any]] = [{}]
    tried: set[str] = set()
    while waiting and len(tried) < MAX_CALLS:
        wanted = waiting.pop(0)
        key = json.dumps(wanted, sort_keys=True, default=str)
        if key in tried:
            continue
        tried.add(key)
        trial = FirstChoices(wanted)
        _call(name, suggest, trial, required=not wanted)
        for choice in trial.seen.values():
            _check_same(name, found.get(choice.name, choice), choice, wanted)
        new = [choice for choice in trial.seen.values() if choice.name not in found]
        found.update({choice.name: choice for choice in new})
        waiting += [{**wanted, choice.name: value} for choice in new for value in choice.values[1:]]
    return found


def _call(name: str, suggest: Callable[[Any], Any], trial: FirstChoices, *, required: bool) -> None:
    try:
        suggest(trial)
    except UserError as error:  # Optuna would refuse this under all conditions
        raise UserError(f"suggest(trial) of space {name} fails: {error}") from error
    except (
        Exception,
        SystemExit,
    ) as error:  # a user's code may raise anything, and may do so on purpose under some conditions
        if required:
            raise UserError(f"suggest(trial) of space {name} fails: {type(error).__name__}: {error}") from error


def _check_same(space: str, known: Choice, choice: Choice, wanted: dict[str, Any]) -> None:
    """Raise UserError where a categorical suggestion has other values than in an earlier call.

    The range of a number may differ from call to call.
    """
    if known.values == choice.values:
        return
    where = " and ".join(f"{key}={value}" for key, value in wanted.items())
    raise UserError(
        f"space {space} suggests {choice.name!r} from {known}, but from {choice} where {where}: Optuna keeps one set "
        f"of choices per name, so give the two different names, such as {choice.name}_of_{list(wanted.values())[-1]}"
    )
