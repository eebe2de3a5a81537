"""How many CPU cores this process may use: batch systems and containers give it a part of the machine's."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OWN_GROUP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return the number of cores that this process may use.

    SLURM's jobs and taskset limit the cores themselves, Docker's and Kubernetes' containers and systemd's slices the
    CPU time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *_whole_cores_of_quotas()]))


def _whole_cores_of_quotas() -> Iterator[int]:
    for files in _quota_files():
        with suppress(OSError, ValueError):  # no such file, or "max", which is no limit
            quota, period = (int(word) for file in files for word in file.read_text(encoding="ascii").split())
            if quota > 0 and period > 0:
                yield quota // period


def _quota_files() -> Iterator[tuple[Path, ...]]:
    """Yield the files with the microseconds of CPU time in each period, and the period: cgroup v2 has both in one file.

    In v2 they are those of the process's group and of all groups around it, up to the container's or the machine's.
    """
    yield GROUPS / "cpu/cpu.cfs_quota_us", GROUPS / "cpu/cpu.cfs_period_us"
    with suppress(OSError):
        for path in re.findall(r"^0::/(.*)$", OWN_GROUP.read_text(encoding="utf-8"), re.MULTILINE):
            for group in (Path(path), *Path(path).parents):
                yield (GROUPS / group / "cpu.max",)
