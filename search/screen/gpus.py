"""What this machine's NVIDIA GPUs are doing, as nvidia-smi tells."""

import os
import shutil
import subprocess
from dataclasses import dataclass

FIELDS = "index,name,utilization.gpu,memory.used,memory.total"
WAIT_S = 5


@dataclass(frozen=True)
class Gpu:
    """One GPU: `busy` is the share of the last second in which it computed; None where the driver does not say."""

    index: int
    name: str
    busy: float | None
    used_gb: float
    total_gb: float

    def __str__(self) -> str:
        busy = "" if self.busy is None else f"{100 * self.busy:.0f} % busy, "
        return f"GPU {self.index} ({self.name}): {busy}{self.used_gb:.1f} of {self.total_gb:.1f} GB"


def read_gpus() -> list[Gpu]:
    """Return this machine's GPUs; none where there is no nvidia-smi, or it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_gpus(answer.stdout)


def visible_gpus() -> int:
    """Return how many GPUs this process may use: batch systems name a part of the machine's in CUDA_VISIBLE_DEVICES.

    There may be more names than GPUs, those of parts of one (MIG); Ray, too, counts no more than the machine has.
    """
    named, there = os.environ.get("CUDA_VISIBLE_DEVICES"), len(read_gpus())
    if named is None or not there:
        return there
    return min(there, sum(1 for name in named.split(",") if name.strip() not in ("", "-1", "NoDevFiles")))


def parse_gpus(text: str) -> list[Gpu]:
    """Return the GPUs of nvidia-smi's CSV lines, whose memory is in MiB; a line that is none of them is left out."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 5 and cells[0].isdigit() and cells[3].isdigit() and cells[4].isdigit():
            busy = int(cells[2]) / 100 if cells[2].isdigit() else None
            found.append(Gpu(int(cells[0]), cells[1], busy, int(cells[3]) / 1024, int(cells[4]) / 1024))
    return found
