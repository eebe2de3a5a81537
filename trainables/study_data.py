"""What every trial of a study sees of the data: the packed cache of this node, and the study's splits."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainables.data import PackedData, Splits, load_dataset, open_packed, pack
from trainables.data.packed import packed_directory
from trainables.errors import UserError


@dataclass(frozen=True)
class StudyData:
    """Small and picklable: it travels to the workers, the photos do not."""

    root: Path
    unlabelled: str
    fingerprint: str
    class_names: tuple[str, ...]
    splits: Splits
    cache_dir: Path

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def open(self, size: tuple[int, int]) -> PackedData:
        """This node's packed cache for (height, width), built from the photos if this node has none yet.

        Raises UserError where this node's copy of the data set is not the one that the study was started on.
        """
        directory = packed_directory(self.cache_dir, self.fingerprint, size)
        if directory.exists():
            with suppress(UserError):  # a damaged cache is built again
                return open_packed(directory)
        dataset = load_dataset(self.root, unlabelled=self.unlabelled, cache_dir=self.cache_dir)
        if dataset.fingerprint != self.fingerprint:
            raise UserError(
                f"{self.root} holds another data set here (fingerprint {dataset.fingerprint[:12]}) than the one the "
                f"study was started on ({self.fingerprint[:12]}): "
                f"copy the same files to every node, or start a new study"
            )
        return pack(dataset, size, self.cache_dir)
