"""Recorded pools on photos that differ from their holdout: what `segvote foresee` is tried and fitted on.

data/shifts.npz holds the class maps of the runs of seven designs (tests/benchmarks/recording/designs.py says which
photos each was trained on) on all their outputs, with the targets: every fourth pixel of every fourth line. They were
recorded with the curves of recorded_pool.py. From them follow some hundred cases of a holdout and of other photos whose
truth is known: other drives, other class shares, other data sets, and five kinds of damage at five strengths.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ensembling import hard_vote, select_ensemble
from ensembling.foresight.agreement_counts import AgreementCounter, LabelledCounts
from tests.benchmarks.recorded_pool import unpacked
from tests.benchmarks.recording.designs import COMMON, SHIFTED, TO_COMMON

FILE = Path(__file__).parent / "data" / "shifts.npz"
FINAL = "0006R0"  # the drive that had no part in choosing anything
CLASSES = {"garbage6": 7, "recycle": len(COMMON)}
CAMVID_CLASSES = 12
MAX_MEMBERS = 8
MOST_RUNS, LEAST_SCORE = 12, 0.6  # that are asked beside the vote; of the best one's mIoU
COMMONEST = 5  # classes by which photos are picked, for other class shares
LEAST_PHOTOS = 12


@dataclass(frozen=True, eq=False)
class Seen:
    """Class maps uint8 (runs, photos, h, w) and their target uint8 (photos, h, w)."""

    maps: np.ndarray
    target: np.ndarray

    def only(self, rows: np.ndarray) -> "Seen":
        return Seen(np.ascontiguousarray(self.maps[:, rows]), self.target[rows])


@dataclass(frozen=True, eq=False)
class Case:
    """A holdout, and photos whose score is to be foreseen; `kind` is what differs, `strength` from 0, weak, to 4.

    `selected_miou` is the cross-fitted mIoU of the vote's selection, where that was made on this holdout.
    """

    design: str
    kind: str
    strength: int
    photos_of: str
    holdout: LabelledCounts
    photos: LabelledCounts
    selected_miou: float | None

    @property
    def final(self) -> bool:
        return self.photos_of == FINAL

    @property
    def of_another_data_set(self) -> bool:
        """Return whether the photos were taken by others, for another purpose, than those of the holdout."""
        return self.design in CLASSES and self.kind in ("other photos", "class shares")


def read_cases(file: Path = FILE) -> Iterator[Case]:
    """Yield every case of every design."""
    for design, outputs in _read(file).items():
        classes = CLASSES.get(design, CAMVID_CLASSES)
        if design == "garbage6":
            yield from _damaged_copies(design, outputs, classes)
            yield from _cases(design, _in_common_classes(outputs), len(COMMON))
        else:
            yield from _cases(design, outputs, classes)


def _read(file: Path) -> dict[str, dict[str, Seen]]:
    designs: dict[str, dict[str, Seen]] = {}
    with np.load(file, allow_pickle=False) as arrays:
        for name in json.loads(arrays["outputs"].tobytes()):
            design, _, output = name.partition("/")
            target = unpacked(arrays[f"{name}:target"])
            maps = np.ascontiguousarray(unpacked(arrays[f"{name}:maps"]).T).reshape(-1, *target.shape)
            designs.setdefault(design, {})[output] = Seen(maps, target)
    return designs


def _in_common_classes(outputs: dict[str, Seen]) -> dict[str, Seen]:
    """garbage6's holdout and recycle60's photos in the classes that both have, as predicted in garbage6's."""
    table = {name: np.array(classes, np.uint8) for name, classes in TO_COMMON.items()}
    own, other = outputs["holdout"], outputs["recycle60"]
    return {
        "holdout": Seen(table["garbage6"][own.maps], table["garbage6"][own.target]),
        "recycle60": Seen(table["garbage6"][other.maps], table["recycle60"][other.target]),
    }


def _cases(design: str, outputs: dict[str, Seen], classes: int) -> Iterator[Case]:
    """Each undamaged output as holdout in turn, but those that nothing was chosen on; all others are foreseen."""
    for name, own in outputs.items():
        if "/" in name or name in (FINAL, "recycle60"):
            continue
        damaged = SHIFTED.get(design, {}).get(name)  # every so manyth of its own photos, from the second on
        rows = np.arange(len(own.target))
        holdout = own.only(rows[rows % damaged != 1]) if damaged else own
        pool = _Pool(holdout, classes)
        known = pool.look(holdout)
        for other, seen in outputs.items():
            of, *damage = other.split("/")
            if other == name:
                continue
            kind, strength = (damage[0], int(damage[1])) if damage else ("other photos", 0)
            yield Case(design, kind, strength, of, known, pool.look(seen), pool.selection.crossfit_miou)
            for rows in [] if damage else _picked(seen.target, classes):
                picked = pool.look(seen.only(rows))
                yield Case(design, "class shares", 0, of, known, picked, pool.selection.crossfit_miou)


def _damaged_copies(design: str, outputs: dict[str, Seen], classes: int) -> Iterator[Case]:
    """The same photos with and without damage: of 34, other photos would differ by more than the damage does."""
    own, rows = outputs["holdout"], np.arange(len(outputs["holdout"].target))
    pool = _Pool(own.only(rows[rows % 2 != 1]), classes)
    known = pool.look(own.only(rows[rows % 2 == 1]))
    for other, seen in outputs.items():
        if "/" in other:
            _, kind, strength = other.split("/")
            yield Case(design, kind, int(strength), "holdout", known, pool.look(seen), None)


class _Pool:
    """The best runs, in rank order, with the vote that was selected on a holdout."""

    def __init__(self, holdout: Seen, classes: int) -> None:
        photos, pixels = len(holdout.target), holdout.target[0].size
        self._classes = classes
        self.selection = select_ensemble(
            list(holdout.maps.reshape(len(holdout.maps), -1)),
            holdout.target.reshape(-1),
            classes,
            image_ids=np.repeat(np.arange(photos), pixels),
            max_members=MAX_MEMBERS,
        )

        scores = self.selection.scores
        best = max(scores)
        self._runs = [run for run in self.selection.ranking if scores[run] >= LEAST_SCORE * best][:MOST_RUNS]
        self._runs += [run for run in self.selection.members if run not in self._runs]

    def look(self, seen: Seen) -> LabelledCounts:
        """What the runs and the vote of the selected ones say of the photos."""
        counter = AgreementCounter(len(self._runs), self._classes, labelled=True)
        for photo, target in enumerate(seen.target):
            maps = np.ascontiguousarray(seen.maps[:, photo])
            vote = hard_vote(maps[list(self.selection.members)], self._classes)
            counter.add(maps[self._runs], vote, target)
        return counter.labelled_counts()


def _picked(target: np.ndarray, classes: int) -> Iterator[np.ndarray]:
    """Rows of the third of the photos that have most of a class, for each of the commonest but the first."""
    counts = np.stack([np.bincount(one.reshape(-1), minlength=256)[:classes] for one in target])
    most = max(LEAST_PHOTOS, len(target) // 3)
    for place in np.argsort(-counts.sum(axis=0))[1 : 1 + COMMONEST]:
        yield np.sort(np.argsort(-counts[:, place], kind="stable")[:most])
