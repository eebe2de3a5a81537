"""Batches of augmented photos, read from the packed cache: nothing is decoded here."""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from trainables.data import PackedData, build_augmentation


def sample_seed(*parts: int) -> int:
    """A 32-bit seed from integers, the same on every machine and in every process."""
    return zlib.crc32(",".join(map(str, parts)).encode())


class _AugmentedPhotos(Dataset):
    """Maps (row, seed) to (image uint8 (3, H, W), mask uint8 (H, W))."""

    def __init__(self, packed: PackedData, augmentation: str, size: tuple[int, int], seed: int) -> None:
        self._packed = packed
        self._augment = build_augmentation(augmentation, size, seed)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        row, seed = key
        image, mask = self._augment(self._packed.images[row], self._packed.masks[row], seed)
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1), torch.from_numpy(
            np.ascontiguousarray(mask)
        )


class _EpochBatches:
    """Yields one epoch's batches of (row, seed).

    The order and every photo's augmentation depend on the seed and the epoch alone, so that a resumed trial sees what
    an unbroken one would have seen, whatever the number of loader processes.
    """

    def __init__(self, rows: Sequence[int], batch_size: int, seed: int) -> None:
        self._rows, self._batch_size, self._seed = list(rows), batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return max(1, len(self._rows) // self._batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng((self._seed, self.epoch)).permutation(len(self._rows))
        for batch in range(len(self)):
            picked = order[batch * self._batch_size : (batch + 1) * self._batch_size]
            yield [(self._rows[i], sample_seed(self._seed, self.epoch, self._rows[i])) for i in picked]


class TrainingBatches:
    """The training photos, in batches: images uint8 (N, 3, H, W), masks uint8 (N, H, W).

    The last short one is left out unless it is the only one: batch norm needs company.
    """

    def __init__(
        self,
        packed: PackedData,
        rows: Sequence[int],
        *,
        batch_size: int,
        augmentation: str,
        size: tuple[int, int],
        seed: int,
        workers: int,
        pin_memory: bool,
    ) -> None:
        self._order = _EpochBatches(rows, batch_size, seed)
        self._loader = DataLoader(
            _AugmentedPhotos(packed, augmentation, size, seed),
            batch_sampler=self._order,
            num_workers=workers,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            multiprocessing_context="forkserver" if workers else None,
        )

    def __len__(self) -> int:
        return len(self._order)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        self._order.epoch = number
        return iter(self._loader)
