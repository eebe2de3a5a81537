"""The most memory that was used at one time since a reset: of the GPU, or of this process where the CPU trains."""

import re
import resource
from contextlib import suppress
from pathlib import Path

import torch


class PeakMemory:
    """A measurement of memory: call `reset`, then `gigabytes`, which is in GiB.

    On a GPU it is the memory of tensors; on a CPU it is that of the whole process.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"

    def reset(self) -> None:
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
            return
        with suppress(OSError):  # only Linux has this file; without it the peak is that since the process started
            Path("/proc/self/clear_refs").write_text("5", "ascii")  # proc(5): resets the peak resident set size

    def gigabytes(self) -> float:
        if self._on_gpu:
            return torch.cuda.max_memory_allocated() / 2**30
        with suppress(OSError):
            peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
            if peak:
                return int(peak[1]) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB
