"""How to search: the options of a selection, and their checks."""

import operator
from dataclasses import dataclass, replace

from ensembling.selection.modes import MODES


@dataclass(frozen=True)
class Options:
    """How to search. Candidates are named by their index."""

    mode: str = "greedy"
    max_members: int = 15
    must_include: tuple[int, ...] = ()
    start: tuple[int, ...] = ()
    beam_width: int = 8
    seed: int = 0


def check_options(options: Options, candidates: int) -> Options:
    """Return the same with plain numbers, each candidate named once. Raises ValueError for what does not fit."""
    if options.mode not in MODES:
        raise ValueError(f"mode is {options.mode!r}, but must be one of {', '.join(MODES)}")
    given = {
        name: tuple(dict.fromkeys(check_whole(index, f"a candidate of {name}", 0, candidates - 1) for index in indices))
        for name, indices in (("must_include", options.must_include), ("start", options.start))
    }
    max_members = check_whole(options.max_members, "max_members", 1)
    named = len({*given["must_include"], *given["start"]})
    if named > max_members:
        raise ValueError(f"must_include and start name {named} candidates, but max_members is {max_members}")
    if options.mode == "exhaustive" and given["start"]:
        raise ValueError("mode 'exhaustive' tries all sets, wherever it starts: leave start out, or use must_include")
    beam_width, seed = check_whole(options.beam_width, "beam_width", 1), check_whole(options.seed, "seed", 0)
    return replace(options, max_members=max_members, beam_width=beam_width, seed=seed, **given)


def check_whole(value: int, name: str, least: int, most: int | None = None) -> int:
    """Return a value as an int. Raises ValueError where it is no whole number, or not in the range allowed.

    Args:
        value: The value.
        name: What the message calls it.
        least: The smallest value allowed.
        most: The largest value allowed; None for no limit.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}, but must be a whole number") from None
    if number < least or (most is not None and number > most):
        allowed = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {number}, but must be {allowed}")
    return number
