"""Passes of a model on a GPU whose kernels are launched together, as a CUDA graph, instead of one by one by Python."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Pass = Callable[[Tensor], Tensor]
Shape = tuple[torch.Size, tuple[int, ...]]  # with the strides, which a graph depends on as well
MOST_GRAPHS = 8  # shapes whose passes are recorded, since each graph keeps its memory


class GraphedPass:
    """A function of one tensor, which on a GPU is recorded as a CUDA graph for each shape and then replayed.

    Python needs longer to launch a small model's kernels than the GPU to compute them, above all while other threads
    decode photos. A graph launches all of them at once; the kernels, and so the results, are the same. The first call
    with a shape runs the function as it is, and the second one records it. The function always runs as it is on a CPU,
    where it waits for a value from the GPU, which a graph cannot, and where the memory for a graph is lacking.

    The function may depend on nothing that changes but its tensor and the values of tensors that stay where they are in
    the GPU's memory, such as a model's weights. Only one thread at a time may call this. See
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
    """

    def __init__(self, function: Pass) -> None:
        self._function = function
        self._recordable = True
        self._seen: set[Shape] = set()
        self._recorded: dict[Shape, _Recorded] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """Return what the function returns, without gradients."""
        if not (images.is_cuda and self._recordable):
            return self._function(images)
        try:
            return self._watched_or_replayed(images)
        except RuntimeError:
            self._recordable = False
        # Outside of the except block: the exception would keep the failed pass's tensors alive.
        self._recorded.clear()
        torch.cuda.empty_cache()
        return self._function(images)

    def _watched_or_replayed(self, images: Tensor) -> Tensor:
        shape = (images.shape, images.stride())
        if shape not in self._seen:
            self._seen.add(shape)
            return _run_without_waiting(self._function, images)
        if shape not in self._recorded:
            if len(self._recorded) == MOST_GRAPHS:
                return self._function(images)
            self._recorded[shape] = _record(self._function, images)
        return self._recorded[shape].replay(images)


@dataclass(frozen=True)
class _Recorded:
    """A graph, and the tensors in which it expects its input and leaves its result."""

    graph: torch.cuda.CUDAGraph
    images: Tensor
    result: Tensor

    def replay(self, images: Tensor) -> Tensor:
        self.images.copy_(images)
        self.graph.replay()
        return self.result.clone()  # the next replay overwrites it


def _record(function: Pass, images: Tensor) -> _Recorded:
    graph, own = torch.cuda.CUDAGraph(), torch.empty_like(images)
    # The outer context restores the stream, which a recording that fails leaves changed. Calls of other threads, which
    # may use the GPU meanwhile, are not recorded.
    with (
        torch.cuda.stream(torch.cuda.current_stream()),
        torch.cuda.graph(graph, capture_error_mode="thread_local"),
    ):
        result = function(own)
    return _Recorded(graph, own, result)


def _run_without_waiting(function: Pass, images: Tensor) -> Tensor:
    """Return what the function returns. Raises RuntimeError where it waits for a value from the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*prototype feature")
        torch.cuda.set_sync_debug_mode("error")
    try:
        return function(images)
    finally:
        torch.cuda.set_sync_debug_mode(before)
