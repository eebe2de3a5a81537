"""Batches of augmented photos, which are read from the packed cache; no photo is decoded here."""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from trainables.data import PackedData, build_augmentation
from trainables.data.batches.augment import Augmentation
from trainables.data.batches.copy_paste import POLICY, CopyPaste
from trainables.data.batches.loader import open_loader

Key = tuple[int, int, int, Augmentation]  # row, source, seed of the sample, and what is done to it


def sample_seed(*parts: int) -> int:
    """Return a 32-bit seed from integers, the same on every machine and in every process."""
    return zlib.crc32(",".join(map(str, parts)).encode())


def steps_per_epoch(photos: int, batch_size: int) -> int:
    """Return the number of batches, and so of optimizer steps, in an epoch; `batch_size` is the effective one."""
    return max(1, photos // batch_size)


class _AugmentedPhotos(Dataset):
    """A map from keys to (image uint8 (H, W, 3), mask uint8 (H, W)).

    Source 0 are labelled photos, and source 1 are those with pseudo-labels; where there are both, the source is the
    third value. The augmentation is part of the key, so that the loader's processes serve trials with any.
    """

    def __init__(self, sources: Sequence[PackedData], paste: CopyPaste | None) -> None:
        self._sources, self._paste = sources, paste

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, bool]:
        row, source, seed, augment = key
        packed = self._sources[source]
        image, mask = packed.images[row], packed.masks[row]
        if self._paste:
            image, mask = self._paste(image, mask, seed)
        image, mask = map(torch.from_numpy, augment(image, mask, seed))
        return (image, mask) if len(self._sources) == 1 else (image, mask, source == 1)


class _Epochs:
    """The keys of each epoch's batches, drawn from `photos`, the (row, source) to train on.

    The order and every photo's augmentation depend on the seed and the epoch only, so that a resumed trial sees what an
    uninterrupted one would have seen, whatever the number of loader processes.
    """

    def __init__(self, photos: Sequence[tuple[int, int]], batch_size: int, seed: int, augment: Augmentation) -> None:
        self._photos, self._batch_size, self._seed, self._augment = list(photos), batch_size, seed, augment

    def __len__(self) -> int:
        return steps_per_epoch(len(self._photos), self._batch_size)

    @property
    def photos_per_epoch(self) -> int:
        return min(len(self._photos), len(self) * self._batch_size)

    def batches(self, epoch: int) -> Iterator[list[Key]]:
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._photos))
        for batch in range(len(self)):
            picked = order[batch * self._batch_size : (batch + 1) * self._batch_size]
            yield [self._key(*self._photos[i], epoch) for i in picked]

    def _key(self, row: int, source: int, epoch: int) -> Key:
        photo = (row, source) if source else (row,)  # as without pseudo-labels, labelled photos have their row alone
        return row, source, sample_seed(self._seed, epoch, *photo), self._augment


class TrainingBatches:
    """The training photos in batches: images uint8 (N, 3, H, W), masks uint8 (N, H, W).

    The images are in channels last: photos are stacked as they lie in memory, since to transpose them would take as
    long as to augment them.

    `rows` of `packed` are mixed in one permutation with those of `pseudo`, if that is given; each batch then has a
    third value, bool (N,), which marks the photos that have pseudo-labels. The last batch is left out if it is short,
    unless it is the only one, because batch norm needs several photos. `first_class` is the lowest class id that the
    augmentation copy_paste pastes.
    """

    def __init__(
        self,
        packed: PackedData,
        rows: Sequence[int],
        *,
        pseudo: tuple[PackedData, Sequence[int]] | None = None,
        batch_size: int,
        augmentation: str,
        size: tuple[int, int],
        seed: int,
        workers: int,
        pin_memory: bool,
        first_class: int = 1,
    ) -> None:
        sources = [(packed, rows), *([pseudo] if pseudo else [])]
        photos = [(row, source) for source, (_, its_rows) in enumerate(sources) for row in its_rows]
        self._epochs = _Epochs(photos, batch_size, seed, build_augmentation(augmentation, size, seed))
        caches = [cache for cache, _ in sources]
        pasted = (tuple(rows), first_class, seed) if augmentation == POLICY else None

        def make_photos() -> Dataset:
            paste = CopyPaste(packed, rows, first_class=first_class, seed=seed) if pasted else None
            return _AugmentedPhotos(caches, paste)

        what = (tuple(cache.directory for cache in caches), pasted)
        self._loader = open_loader(what, make_photos, workers=workers, pin_memory=pin_memory)
        self._begun: tuple[int, Iterator[Sequence[Tensor]]] | None = None

    def __len__(self) -> int:
        return len(self._epochs)

    @property
    def photos_per_epoch(self) -> int:
        return self._epochs.photos_per_epoch

    def epoch(self, number: int) -> Iterator[Sequence[Tensor]]:
        """Return the batches of that epoch, which counts from 0."""
        begun, self._begun = self._begun, None
        return begun[1] if begun and begun[0] == number else self._load(number)

    def begin(self, number: int) -> None:
        """Let the loader's processes, if there are any, load the first batches of the epoch that is asked for next."""
        if self._loader.workers:
            self._begun = (number, self._load(number))

    def _load(self, number: int) -> Iterator[Sequence[Tensor]]:
        loaded = self._loader.load(self._epochs.batches(number))
        return ([images.permute(0, 3, 1, 2), *others] for images, *others in loaded)
