"""The data that every trial of a study sees: the packed caches of this node, and the study's splits."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trainables.data import Dataset, PackedData, Splits, load_dataset, open_packed, pack
from trainables.data.batches.packed import packed_directory
from trainables.data.edits import NO_EDITS, Edits, apply_edits, edit_whole
from trainables.data.pseudo import load_pseudo
from trainables.errors import NodeError, UserError

OBJECTIVE = "holdout/miou"


@dataclass(frozen=True)
class PseudoData:
    """The photos with pseudo-labels that trials also train on: the `rows` of the data set in `root`.

    In the loss each of them counts `weight` times as much as a labelled photo.
    """

    root: Path
    fingerprint: str
    rows: tuple[int, ...]
    weight: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self) | {"root": str(self.root)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PseudoData":
        """Return the data that `to_dict` described."""
        return cls(Path(values["root"]), values["fingerprint"], tuple(values["rows"]), values["weight"])


@dataclass(frozen=True)
class StudyEdits:
    """Corrections of labels that trials ask for by name, and the rows that they remove from training."""

    edits: Edits
    dropped: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"name": self.edits.name, **self.edits.to_dict(), "dropped": list(self.dropped)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StudyEdits":
        """Return the corrections that `to_dict` described."""
        return cls(Edits.from_dict(values["name"], values), tuple(values["dropped"]))


@dataclass(frozen=True)
class StudyData:
    """A description of a study's data that is small and can be pickled: it is sent to the workers without the
    photos.
    """

    root: Path
    unlabelled: str
    fingerprint: str
    class_names: tuple[str, ...]
    splits: Splits
    cache_dir: Path
    pseudo: PseudoData | None = None
    train_json: str | None = None  # the COCO files, where they do not have their usual names
    val_json: str | None = None
    edits: tuple[StudyEdits, ...] = ()
    keep_last: bool = False  # keep each trial's last epoch rather than its best one, as a refit does

    @property
    def scored(self) -> bool:
        """Return whether there is a holdout. Without one, the records of epochs have no score."""
        return bool(self.splits.holdout)

    def kept(self, records: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """Return the record of the epoch whose weights and class maps are kept; None before the first epoch."""
        if not records:
            return None
        return records[-1] if self.keep_last else max(records, key=lambda record: record[OBJECTIVE])

    def kept_score(self, records: Sequence[dict[str, Any]]) -> float | None:
        """Return the score of that epoch on the holdout; None before the first epoch, or without a holdout."""
        kept = self.kept(records)
        return kept.get(OBJECTIVE) if kept else None

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def open(self, size: tuple[int, int], edits: str = NO_EDITS) -> PackedData:
        """Return this node's packed cache for (height, width), which is built if this node has none yet.

        Its labels are those after the corrections that are named `edits`; the labels of the holdout are always the
        study's own. Raises NodeError where this node's copy of the data set is missing or differs from the one that the
        study was started on, or where its disk has too little free space for the cache.
        """
        return self._open(self.root, self._fingerprint_with(edits), partial(self._load_edited, edits), size)

    def load(self, root: Path) -> Dataset:
        """Return the data set in the directory `root`, with the corrections that all trials of the study have.

        Its fingerprint says whether it is still the one that the study was started on. Raises UserError where it cannot
        be read.
        """
        dataset = load_dataset(
            root,
            unlabelled=self.unlabelled,
            cache_dir=self.cache_dir,
            train_json=self.train_json,
            val_json=self.val_json,
            max_megapixels=float("inf"),  # the limit was checked where the study was started
        )
        return edit_whole(dataset, [one.edits for one in self.edits])

    def _load_edited(self, name: str, root: Path) -> Dataset:
        dataset = self.load(root)
        own = self.edits_named(name)
        if own is None or own.edits.apply_to_holdout:
            return dataset
        dataset = self._same(dataset, root, self.fingerprint)
        return apply_edits(dataset, own.edits, self.splits.holdout).dataset

    def _fingerprint_with(self, name: str) -> str:
        own = self.edits_named(name)
        if own is None or own.edits.apply_to_holdout:
            return self.fingerprint
        return own.edits.fingerprint_on(self.fingerprint, self.splits.holdout)

    def edits_named(self, name: str) -> StudyEdits | None:
        """Return the corrections of that name; None for "none". Raises UserError for a name that the study does not
        have.
        """
        if name == NO_EDITS:
            return None
        for one in self.edits:
            if one.edits.name == name:
                return one
        known = ", ".join(one.edits.name for one in self.edits) or "none"
        raise UserError(
            f"edits={name}: the study has no corrections of that name (it has {known}); add them with --edits"
        )

    def training_rows(self, fold: int | str, edits: str = NO_EDITS) -> tuple[int, ...]:
        """Return the rows that a trial trains on, ascending: those of all folds but `fold`, without those that
        edits drop.
        """
        own = self.edits_named(edits)
        dropped = set(own.dropped) if own else set()
        return tuple(row for row in self.splits.training_rows(fold) if row not in dropped)

    def holdout_pixels(self, packed: PackedData) -> int:
        """Return the number of pixels of all class maps of the holdout, at the photos' own sizes."""
        return sum(packed.sizes[row][0] * packed.sizes[row][1] for row in self.splits.holdout)

    def open_pseudo(self, size: tuple[int, int]) -> tuple[PackedData, tuple[int, ...]] | None:
        """Return the packed cache of the photos with pseudo-labels and the rows to train on; None for a study without.

        Raises what `open` raises.
        """
        if self.pseudo is None:
            return None
        load = partial(load_pseudo, class_names=self.class_names, unlabelled=self.unlabelled, cache_dir=self.cache_dir)
        return self._open(self.pseudo.root, self.pseudo.fingerprint, load, size), self.pseudo.rows

    def _open(self, root: Path, fingerprint: str, load: Callable[[Path], Dataset], size: tuple[int, int]) -> PackedData:
        directory = packed_directory(self.cache_dir, fingerprint, size)
        if directory.exists():
            with suppress(UserError):  # a damaged cache is built again
                return open_packed(directory)
        try:
            return pack(self._same(load(root), root, fingerprint), size, self.cache_dir)
        except UserError as error:
            raise NodeError(str(error)) from error

    @staticmethod
    def _same(dataset: Dataset, root: Path, fingerprint: str) -> Dataset:
        if dataset.fingerprint != fingerprint:
            raise UserError(
                f"{root} holds another data set here (fingerprint {dataset.fingerprint[:12]}) than the one the "
                f"study was started on ({fingerprint[:12]}): "
                f"copy the same files to every node, or start a new study"
            )
        return dataset

    def photos_per_epoch(self, fold: int | str, edits: str = NO_EDITS) -> int:
        """Return the number of photos, with those that have pseudo-labels, that a trial trains on when it leaves
        out `fold` and what the edits drop.
        """
        return len(self.training_rows(fold, edits)) + (len(self.pseudo.rows) if self.pseudo else 0)
