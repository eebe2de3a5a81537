"""The most memory that was in use at one time since a reset: of the GPU, or of this process where the CPU trains."""

import re
import resource
from contextlib import suppress
from pathlib import Path

import torch


class PeakMemory:
    """`reset`, then `gigabytes` (GiB): what tensors took on a GPU, what the whole process took on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"

    def reset(self) -> None:
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
            return
        with suppress(OSError):  # Linux alone; elsewhere, or where it is forbidden, the peak is the process's so far
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak resident set size

    def gigabytes(self) -> float:
        if self._on_gpu:
            return torch.cuda.max_memory_allocated() / 2**30
        with suppress(OSError):
            peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
            if peak:
                return int(peak[1]) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB
