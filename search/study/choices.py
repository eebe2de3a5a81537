"""What a space varies: every suggestion of its function `suggest`, found by calling it with made-up answers."""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.errors import UserError, nearest

SUGGESTIONS = ("suggest_categorical", "suggest_float", "suggest_int")
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

    @property
    def varies(self) -> bool:
        """Return whether there is more than one value."""
        return len(self.values) > 1 if self.values else self.low != self.high

    @staticmethod
    def same(value: Any, other: Any) -> bool:
        """Return whether two values are one choice; True and 1 are not."""
        return value == other and isinstance(value, bool) == isinstance(other, bool)


def plain(value: Any) -> Any:
    """Return the Python value of a NumPy scalar, which JSON could not keep, and any other value as it is."""
    return value.item() if type(value).__module__ == "numpy" and value.ndim == 0 else value


def plain_choices(choices: Iterable[Any]) -> list[Any]:
    """Return the choices as a list of plain values, in an order that is the same in every process.

    The order of a set of texts is not, and the same seed would draw other values when the study is resumed.
    """
    found = [plain(value) for value in choices]
    return sorted(found, key=repr) if isinstance(choices, set | frozenset) else found


class FirstChoices:
    """A stand-in for an Optuna trial that answers with first choices and middles of ranges, or with what is `wanted`.

    `seen` holds every suggestion that was asked for, by name, and `params` the answers, as Optuna's trials have them. A
    suggestion that Optuna would refuse raises UserError.
    """

    def __init__(self, wanted: dict[str, Any]) -> None:
        self._wanted = wanted
        self.number = 0
        self.seen: dict[str, Choice] = {}
        self.params: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("suggest_"):
            raise UserError(
                f"trial.{name} is not there{nearest(name, SUGGESTIONS)}: a trial has {', '.join(SUGGESTIONS)}; "
                "log=True draws on a log scale, and step=… in steps"
            )
        raise AttributeError(f"the trial that suggest(trial) is given has no attribute {name!r}")

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
        return self._answer(name, values[0])

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        from optuna.distributions import FloatDistribution

        high = self._accepted(name, FloatDistribution, low, high, log=log, step=step).high
        self._note(Choice(name, low=low, high=high, log=log))
        middle = (low * high) ** 0.5 if log else (low + high) / 2
        return self._answer(name, low + round((middle - low) / step) * step if step else middle)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        from optuna.distributions import IntDistribution

        high = self._accepted(name, IntDistribution, low, high, log=log, step=step).high
        self._note(Choice(name, low=low, high=high, log=log))
        middle = (low * high) ** 0.5 if log else (low + high) / 2
        return self._answer(name, low + round((middle - low) / step) * step)

    def _answer(self, name: str, first: Any) -> Any:
        self.params[name] = self._wanted.get(name, first)
        return self.params[name]

    @staticmethod
    def _accepted(name: str, distribution: Callable[..., Any], low: float, high: float, **how: Any) -> Any:
        """Return Optuna's distribution, whose high end lies on a step. Raises UserError for what Optuna refuses."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Optuna warns about a high end that lies on no step
                return distribution(low, high, **how)
        except (ValueError, TypeError) as error:
            raise UserError(f"{name!r} has the range {low} to {high}, which cannot be drawn from: {error}") from error

    def _note(self, choice: Choice) -> None:
        known = self.seen.setdefault(choice.name, choice)
        if known != choice:
            raise UserError(f"{choice.name!r} is suggested twice in one call, from {known} and from {choice}")


@dataclass(frozen=True)
class Branch:
    """One call of `suggest`: the answers that led to it, the suggestions that it asked for, and what it returned.

    `values` is None where the call raised, which a space may do on purpose under some conditions.
    """

    wanted: dict[str, Any]
    seen: dict[str, Choice]
    values: Any = None

    @property
    def where(self) -> str:
        """Return the answers that led here, in words; an empty text for the first choices."""
        return " and ".join(f"{key}={value}" for key, value in self.wanted.items())


def branches(name: str, suggest: Callable[[Any], Any]) -> Iterator[Branch]:
    """Yield one call of `suggest` for every value of every categorical suggestion and for both ends of every range.

    What conditions hide, one of these calls shows. Raises UserError where the first call fails.
    """
    found: set[str] = set()
    waiting: list[dict[str, Any]] = [{}]
    tried: set[str] = set()
    while waiting and len(tried) < MAX_CALLS:
        wanted = waiting.pop(0)
        key = json.dumps(wanted, sort_keys=True, default=str)
        if key in tried:
            continue
        tried.add(key)
        branch = _call(name, suggest, wanted)
        yield branch
        for choice in branch.seen.values():
            if choice.name not in found:
                found.add(choice.name)
                others = choice.values[1:] if choice.values else (choice.low, choice.high)
                waiting += [{**wanted, choice.name: value} for value in others]


def explore(name: str, suggest: Callable[[Any], Any]) -> dict[str, Choice]:
    """Return every suggestion by name, also those that only some choices of others lead to.

    Raises UserError where the first call fails, and where one name stands for different choices: Optuna keeps one set
    of choices per name, and would refuse all others for the whole of the study.
    """
    found: dict[str, Choice] = {}
    for branch in branches(name, suggest):
        for choice in branch.seen.values():
            _check_same(name, found.setdefault(choice.name, choice), choice, branch)
    return found


def _call(name: str, suggest: Callable[[Any], Any], wanted: dict[str, Any]) -> Branch:
    trial = FirstChoices(wanted)
    try:
        return Branch(wanted, trial.seen, suggest(trial))
    except UserError as error:  # Optuna would refuse this under all conditions
        raise UserError(f"suggest(trial) of space {name} fails: {error}") from error
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        if not wanted:
            raise UserError(f"suggest(trial) of space {name} fails: {type(error).__name__}: {error}") from error
        return Branch(wanted, trial.seen)


def _check_same(space: str, known: Choice, choice: Choice, branch: Branch) -> None:
    """Raise UserError where a categorical suggestion has other values than in an earlier call.

    The range of a number may differ from call to call.
    """
    if known.values == choice.values:
        return
    raise UserError(
        f"space {space} suggests {choice.name!r} from {known}, but from {choice} where {branch.where}: Optuna keeps "
        f"one set of choices per name, so give the two different names, such as "
        f"{choice.name}_of_{list(branch.wanted.values())[-1]}"
    )
