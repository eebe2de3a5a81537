"""What the cluster has, and what each trial gets of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray

from search.report.durations import counted
from search.screen.gpus import visible_gpus
from search.study.settings import StudySettings
from trainables.errors import UserError
from trainables.hardware.cores import usable_cores

ELASTIC_CPUS = 4  # per trial: half of what AWS pairs with one GPU in the instances of cluster.yaml


@dataclass(frozen=True)
class Resources:
    """What one trial gets, in `cpus` and `gpus`, and how many trials run side by side (`concurrency`).

    `room` is how many of them fit on the machines that the cluster has now, where it may start further ones.
    """

    cpus: int
    gpus: float
    concurrency: int
    room: int | None = None

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ", no GPU"
        trials = counted(self.concurrency, "trial at a time", "trials at a time, each")
        each = f"{trials} with {counted(self.cpus, 'CPU core', 'CPU cores')}{gpus}"
        if self.room is None or self.room >= self.concurrency:
            return each
        others = f"{self.concurrency - self.room if self.room else 'all'} of them"
        return f"{each}; the cluster has room for {self.room or 'none'} now, and {others} wait for further machines"


@dataclass(frozen=True)
class Node:
    """What one machine of the cluster has; a trial runs on one machine alone."""

    cpus: int
    gpus: float = 0.0

    def holds(self, cpus: int, gpus: float) -> int:
        """Return how many trials of `cpus` cores and `gpus` GPUs fit on it side by side."""
        by_cpus = self.cpus // cpus
        if not gpus:
            return by_cpus
        # A fraction is one of a single GPU: what is left of two GPUs does not make another share.
        by_gpus = int(self.gpus) * int(1 / gpus + 1e-9) if gpus < 1 else int(self.gpus / gpus + 1e-9)
        return min(by_cpus, by_gpus)


def share(
    nodes: Sequence[Node],
    *,
    concurrency: int | None,
    gpus_per_trial: float | None,
    cpus_per_trial: int | None = None,
    elastic: bool = False,
) -> Resources:
    """Return what each trial gets: a GPU of its own, or a core where there is no GPU, unless told otherwise.

    Cores are shared out evenly among the trials that run side by side.

    Args:
        nodes: The machines of the cluster.
        concurrency: How many trials are to run side by side; None for as many as fit.
        gpus_per_trial: The GPUs of each trial, below 1 for a share of one; None for one where there is a GPU.
        cpus_per_trial: The cores of each trial; None for an even share.
        elastic: Whether the cluster starts the nodes that trials ask for: `gpus_per_trial` and `concurrency` may then
            exceed what is there already.

    Raises:
        UserError: No machine has what each trial is to get.
    """
    most_gpus = max((node.gpus for node in nodes), default=0.0)
    most_cpus = max((node.cpus for node in nodes), default=1)
    gpus = min(1.0, most_gpus) if gpus_per_trial is None else gpus_per_trial
    if gpus > 1 and gpus != int(gpus):
        raise UserError(f"--gpus-per-trial is {gpus:g}, but above 1 only whole GPUs can be given")
    if elastic and concurrency and gpus_per_trial:
        cpus = cpus_per_trial or ELASTIC_CPUS
        return Resources(cpus, gpus, concurrency, room=sum(node.holds(cpus, gpus) for node in nodes))
    if gpus > most_gpus:
        raise UserError(
            f"--gpus-per-trial is {gpus:g}, but no machine here has more than {most_gpus:g} GPUs; "
            "if the cluster starts more on demand, give --concurrency, the number of trials that run side by side"
        )
    if not elastic and cpus_per_trial and cpus_per_trial > most_cpus:
        raise UserError(
            f"--cpus-per-trial is {cpus_per_trial}, but no machine here has more than {most_cpus} CPU cores: give less"
        )
    fit = lambda cpus: sum(node.holds(cpus, gpus) for node in nodes)  # noqa: E731
    side_by_side = max(1, min(concurrency or fit(cpus_per_trial or 1), fit(cpus_per_trial or 1)))
    most = next((cpus for cpus in range(most_cpus, 1, -1) if fit(cpus) >= side_by_side), 1)
    return Resources(cpus_per_trial or most, gpus, side_by_side)


def trials_side_by_side(settings: StudySettings, trials: int | None = None) -> int:
    """Return how many trials will probably run side by side on this machine, before Ray has counted what it has.

    `trials` is how many there are in all, where that is known.
    """
    cpus, gpus = usable_cores(), visible_gpus()
    if gpus and settings.gpus_per_trial != 0:
        fit = int(gpus / (settings.gpus_per_trial or 1))
    else:
        fit = cpus // (settings.cpus_per_trial or 1)
    return max(1, min(settings.concurrency or fit, trials or fit, cpus))


def cluster_share(**wanted: Any) -> Resources:
    """Return `share` of what the cluster has; a cluster that is still starting is waited for, a minute at most."""
    deadline = time.monotonic() + 60
    while not ray.cluster_resources().get("CPU") and time.monotonic() < deadline:
        time.sleep(1)
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return share([Node(int(has.get("CPU", 0)), has.get("GPU", 0.0)) for has in alive], **wanted)
