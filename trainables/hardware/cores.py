"""How many CPU cores this process may use: batch systems and containers give it a part of the machine's."""

import os
from pathlib import Path

# The microseconds of CPU time in each period that a container gets, and the period: cgroup v2 has both in one file.
QUOTA_FILES = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)


def usable_cores() -> int:
    """Return the number of cores that this process may use.

    SLURM's jobs and taskset limit the cores themselves, Docker's and Kubernetes' containers the CPU time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _whole_cores_of_quota() or cores))


def _whole_cores_of_quota() -> int | None:
    for files in QUOTA_FILES:
        try:
            quota, period = (int(word) for file in files for word in Path(file).read_text(encoding="ascii").split())
        except (OSError, ValueError):  # no such file, or "max", which is no limit
            continue
        return max(1, quota // period) if quota > 0 and period > 0 else None
    return None
