"""What the cluster has, and what each trial gets of it."""

import logging
import os
import time
from dataclasses import dataclass
from typing import Any

import ray

from trainables.errors import UserError

ELASTIC_CPUS = 4  # per trial: half of what AWS pairs with one GPU in the instances of cluster.yaml


@dataclass(frozen=True)
class Resources:
    """`cpus` and `gpus` are what one trial gets; `concurrency` is how many run side by side."""

    cpus: int
    gpus: float
    concurrency: int

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ", no GPU"
        return f"{self.concurrency} trials at a time, each with {self.cpus} CPU cores{gpus}"


def share(
    total_cpus: int,
    total_gpus: float,
    *,
    concurrency: int | None,
    gpus_per_trial: float | None,
    cpus_per_trial: int | None = None,
    elastic: bool = False,
) -> Resources:
    """One trial per GPU, or per core where there is none, unless told otherwise; the cores are shared out evenly.

    An `elastic` cluster starts the nodes that trials ask for: there, `gpus_per_trial` and `concurrency` are not held
    against what is up already.
    """
    gpus = min(1.0, total_gpus) if gpus_per_trial is None else gpus_per_trial
    if elastic and concurrency and gpus_per_trial:
        return Resources(cpus_per_trial or ELASTIC_CPUS, gpus, concurrency)
    if gpus > total_gpus:
        raise UserError(
            f"--gpus-per-trial is {gpus:g}, but the cluster has {total_gpus:g} GPUs; "
            "if it starts more on demand, say with --concurrency how many trials are to run side by side"
        )
    if not elastic and cpus_per_trial and cpus_per_trial > total_cpus:
        raise UserError(f"--cpus-per-trial is {cpus_per_trial}, but the cluster has {total_cpus} CPU cores: give less")
    by_cpus = total_cpus // (cpus_per_trial or 1)
    fits = min(int(total_gpus / gpus + 1e-9), by_cpus) if gpus else by_cpus
    side_by_side = max(1, min(concurrency or fits, fits))
    return Resources(cpus_per_trial or max(1, total_cpus // side_by_side), gpus, side_by_side)


def start_ray(address: str | None) -> None:
    """Joins the cluster at `address`, or starts Ray on this machine, on loopback and without a dashboard."""
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
        TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
        TUNE_PRINT_ALL_TRIAL_ERRORS="0",
        RAY_AIR_NEW_OUTPUT="0",  # the old output keeps silent at verbose=0, the new one does not
        TUNE_GLOBAL_CHECKPOINT_S="3600",  # the study's own ledger is what a resume reads
    )
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"no Ray cluster answers at --address {address} ({error}): is it up, "
            "and is RAY_AUTH_MODE set here as it is there?"
        ) from error
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def cluster_share(**wanted: Any) -> Resources:
    """`share` of what the cluster has. One that is still starting is waited for, a minute at most."""
    deadline = time.monotonic() + 60
    while not (total := ray.cluster_resources()).get("CPU") and time.monotonic() < deadline:
        time.sleep(1)
    return share(int(total.get("CPU", 1)), total.get("GPU", 0.0), **wanted)
