"""Loaders of batches, whose processes outlive epochs and trials: a process that trains starts them once.

Starting them takes seconds of every trial otherwise, since each of them imports PyTorch.
"""

import multiprocessing
import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from threading import Thread
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from trainables.errors import NodeError
from trainables.hardware.loader_server import loader_context


class Loader:
    """Loads batches of a map-style data set in `workers` processes, or in this one where there are none.

    The processes end with this one, with `close`, or when one of them has died.
    """

    def __init__(self, photos: Dataset, *, workers: int, pin_memory: bool) -> None:
        self.workers = workers
        self._requests = _Requests()
        self._epoch = 0
        self._batches: Iterator[Any] | None = None
        self._loader: DataLoader | None = DataLoader(
            photos,
            batch_sampler=self._requests,
            num_workers=workers,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            multiprocessing_context=loader_context() if workers else None,
            worker_init_fn=_end_with_parent if workers else None,
            # Otherwise a draw of PyTorch's own generator would depend on whether the processes are new.
            generator=torch.Generator() if workers else None,
        )
        if workers:
            self._batches = iter(self._loader)  # the processes start now, and this one goes on

    @property
    def usable(self) -> bool:
        return self._loader is not None

    def load(self, requests: Iterable[list[Any]]) -> Iterator[Any]:
        """Return the batches for `requests`, each a list of the data set's keys, in that order.

        Processes begin at once with the first batches. What is left of an earlier call is dropped, and its iterator
        raises RuntimeError. Where a process has died, this or the iterator raises NodeError, and the loader is closed.
        """
        self._epoch += 1
        self._requests.current = requests
        self._checked(self._begin)
        return self._loaded(self._epoch)

    def _begin(self) -> None:
        self._batches = iter(self._loader)

    def _loaded(self, epoch: int) -> Iterator[Any]:
        end = object()
        while True:
            if epoch != self._epoch:
                raise RuntimeError("these batches can no longer be loaded: the same loader was asked for others since")
            batch = self._checked(lambda: next(self._batches, end))
            if batch is end:
                return
            yield batch

    def _checked(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except RuntimeError as error:
            if "DataLoader worker (pid" not in str(error):
                raise
            self.close()
            raise NodeError(
                f"{str(error).splitlines()[0]}: a process that augments photos was ended from outside, as happens "
                "where the machine's memory runs out. Run fewer trials side by side or give each fewer cores, and "
                "resume the study with --resume"
            ) from error

    def close(self) -> None:
        """End the processes. The loader cannot be used after that."""
        self._epoch += 1
        self._loader = self._batches = None  # PyTorch ends them when nothing refers to its loader


class _Requests:
    """The batches that a DataLoader is asked for; it reads them anew whenever it is iterated."""

    current: Iterable[list[Any]] = ()

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.current)


def _end_with_parent(worker: int) -> None:
    """Let this process end when the one that started it does, even by kill -9.

    PyTorch's processes watch who forked them. That is the server that copies itself, which in turn lives as long as
    they do.
    """

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


_kept: dict[Hashable, Loader] = {}


def open_loader(what: Hashable, make_photos: Callable[[], Dataset], *, workers: int, pin_memory: bool) -> Loader:
    """Return a loader of the data set that `make_photos` returns.

    Where it has processes, the loader is kept for the next call with an equal `what`, which stands for the data set. A
    call with another one closes it, so that this process has the processes of one loader at most.
    """
    if not workers:
        return Loader(make_photos(), workers=0, pin_memory=pin_memory)
    key = (what, workers, pin_memory)
    if key not in _kept or not _kept[key].usable:
        close_kept()
        _kept[key] = Loader(make_photos(), workers=workers, pin_memory=pin_memory)
    return _kept[key]


def close_kept() -> None:
    """End the processes of the loader that is kept, if there is one."""
    while _kept:
        _kept.popitem()[1].close()
