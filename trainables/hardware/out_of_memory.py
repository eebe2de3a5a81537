"""What is done where memory runs out: the same work is repeated with fewer photos at once."""

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` means that a GPU's memory or this machine's memory is exhausted."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # PyTorch's allocator on the CPU and NVIDIA's libraries have no exception class for it.
    said = ("can't allocate memory", "not enough memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(one in str(error) for one in said)


def run_in_memory(
    run: Callable[[int], Result], at_once: int, *, before_retry: Callable[[], None] | None = None
) -> tuple[Result, int]:
    """Return `run(at_once)` and the number that fitted; where memory runs out, the number is halved until it fits.

    `before_retry` undoes what a failed run left behind. The error is raised where a single photo does not fit.
    """
    while True:
        try:
            return run(at_once), at_once
        except Exception as error:
            if at_once == 1 or not is_out_of_memory(error):
                raise
            at_once = (at_once + 1) // 2
        # Outside of the except block: the exception would keep the failed run's tensors alive.
        if before_retry:
            before_retry()
        torch.cuda.empty_cache()
