"""Scenes: the photos of a data set by what they share, and the stretches that too few scenes are cut into."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class Joined:
    """Things that belong together, by union and find: whatever two pairs share joins all of them."""

    def __init__(self) -> None:
        self._leaders: dict[Hashable, Hashable] = {}

    def leader(self, thing: Hashable) -> Hashable:
        """Return one thing that stands for all that `thing` was joined with."""
        path = []
        while self._leaders.setdefault(thing, thing) != thing:
            path.append(thing)
            thing = self._leaders[thing]
        for passed in path:
            self._leaders[passed] = thing
        return thing

    def join(self, one: Hashable, other: Hashable) -> bool:
        """Put the two together; return whether they were apart."""
        first, second = self.leader(one), self.leader(other)
        self._leaders[first] = second
        return first != second

    def numbers(self, things: Iterable[Hashable]) -> tuple[int, ...]:
        """Return the number of each thing's group; groups are numbered from 0 in the order in which they come."""
        known: dict[Hashable, int] = {}
        return tuple(known.setdefault(self.leader(thing), len(known)) for thing in things)


@dataclass(frozen=True)
class Scenes:
    """The scene of each row of a data set.

    `of_row` numbers the scenes. `parts` numbers what is never torn apart, whatever happens: photos of one declared
    group, of the same bytes, and near-duplicates. Each part lies within one scene; the frames of a sequence are one
    scene of many parts, which may be cut into stretches where the scenes are too few to split.
    `reasons` counts the photos that were put with another one, by what showed it.
    """

    of_row: tuple[int, ...]
    parts: tuple[int, ...]
    reasons: tuple[tuple[str, int], ...] = ()

    def count(self, rows: Iterable[int]) -> int:
        """Return how many scenes these rows are from."""
        return len({self.of_row[row] for row in rows})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"of_row": list(self.of_row), "parts": list(self.parts), "reasons": [list(one) for one in self.reasons]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Scenes":
        """Return the scenes that `to_dict` wrote."""
        reasons = tuple((str(reason), int(number)) for reason, number in values["reasons"])
        return cls(tuple(values["of_row"]), tuple(values["parts"]), reasons)

    def stretches(self, rows: Sequence[int], file_names: Sequence[str], needed: int) -> dict[int, int]:
        """Return a number for each of `rows` such that there are at least `needed` numbers, if the parts allow it.

        Rows of one scene have one number, unless there are fewer than `needed` scenes: then the largest is cut into
        two stretches that follow each other by `file_names` (by row), again and again, never within a part.
        """
        pieces: dict[int, list[list[int]]] = defaultdict(list)
        in_order = sorted(rows, key=lambda row: (natural_key(file_names[row]), row))
        rows_of_part = defaultdict(list)
        for row in in_order:
            rows_of_part[self.parts[row]].append(row)
        for part in rows_of_part.values():
            pieces[self.of_row[part[0]]].append(part)
        stretches = list(pieces.values())
        while len(stretches) < needed:
            longest = max(stretches, key=lambda parts: (len(parts) > 1) * sum(map(len, parts)))
            if len(longest) < 2:
                break
            stretches.remove(longest)
            stretches += _halves(longest)
        return {row: number for number, parts in enumerate(stretches) for part in parts for row in part}


def _halves(parts: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Return two lists of parts, one after the other, of about as many rows each, neither empty."""
    total, so_far, cut = sum(map(len, parts)), 0, 1
    for index, part in enumerate(parts[:-1], start=1):
        so_far += len(part)
        cut = index
        if 2 * so_far >= total:
            break
    return parts[:cut], parts[cut:]


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which frame 9 comes before frame 10."""
    return [(int(text), "") if text.isdigit() else (-1, text) for text in re.split(r"(\d+)", name)]
