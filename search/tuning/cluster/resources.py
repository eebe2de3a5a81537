"""What the cluster has, and what each trial gets of it."""

import atexit
import contextlib
import logging
import os
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

import trainables
from search.screen.gpus import read_gpus
from search.study.settings import StudySettings
from search.tuning.cluster.ray_access import close_own_cluster
from trainables.errors import UserError
from trainables.trial.imports_ahead import import_ahead

ELASTIC_CPUS = 4  # per trial: half of what AWS pairs with one GPU in the instances of cluster.yaml


@dataclass(frozen=True)
class Resources:
    """What one trial gets, in `cpus` and `gpus`, and how many trials run side by side (`concurrency`)."""

    cpus: int
    gpus: float
    concurrency: int

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ", no GPU"
        return f"{self.concurrency} trials at a time, each with {self.cpus} CPU cores{gpus}"


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
    total_gpus = max((node.gpus for node in nodes), default=0.0)
    most_cpus = max((node.cpus for node in nodes), default=1)
    gpus = min(1.0, total_gpus) if gpus_per_trial is None else gpus_per_trial
    if gpus > 1 and gpus != int(gpus):
        raise UserError(f"--gpus-per-trial is {gpus:g}, but above 1 only whole GPUs can be given")
    if elastic and concurrency and gpus_per_trial:
        return Resources(cpus_per_trial or ELASTIC_CPUS, gpus, concurrency)
    if gpus > total_gpus:
        raise UserError(
            f"--gpus-per-trial is {gpus:g}, but no machine here has more than {total_gpus:g} GPUs; "
            "if it starts more on demand, say with --concurrency how many trials are to run side by side"
        )
    if not elastic and cpus_per_trial and cpus_per_trial > most_cpus:
        raise UserError(
            f"--cpus-per-trial is {cpus_per_trial}, but no machine here has more than {most_cpus} CPU cores: give less"
        )
    fit = lambda cpus: sum(node.holds(cpus, gpus) for node in nodes)  # noqa: E731
    side_by_side = max(1, min(concurrency or fit(cpus_per_trial or 1), fit(cpus_per_trial or 1)))
    most = next((cpus for cpus in range(most_cpus, 1, -1) if fit(cpus) >= side_by_side), 1)
    return Resources(cpus_per_trial or most, gpus, side_by_side)


def trials_side_by_side(settings: StudySettings) -> int:
    """Return how many trials will probably run side by side on this machine, before Ray has counted what it has."""
    cpus, gpus = os.cpu_count() or 1, len(read_gpus())
    if gpus and settings.gpus_per_trial != 0:
        fit = int(gpus / (settings.gpus_per_trial or 1))
    else:
        fit = cpus // (settings.cpus_per_trial or 1)
    return max(1, min(settings.concurrency or fit, cpus))


def start_ray(address: str | None, *, trials: int = 0) -> None:
    """Join the cluster at `address`, or start Ray on this machine without a dashboard, unless that was done already.

    The processes of the first `trials` trials of a cluster of this machine import PyTorch from then on.

    A cluster of this machine alone takes requests of its own processes only (see ray_access.py beside this file). Ray's
    workers look for modules where the driver's current directory is: that must not be one with a user's files.
    """
    if ray.is_initialized():
        return
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
        TUNE_DISABLE_SIGINT_HANDLER="1",  # StudyTuner has its own, which does not wait for epochs in progress
        TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
        TUNE_PRINT_ALL_TRIAL_ERRORS="0",
        RAY_AIR_NEW_OUTPUT="0",  # the old output keeps silent at verbose=0, the new one does not
        TUNE_GLOBAL_CHECKPOINT_S="3600",  # the study's own ledger is what a resume reads
    )
    _let_workers_import()
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with contextlib.chdir(_empty_directory()):
            if address:
                _close_token_file()
                ray.init(address=address, **quiet)
            else:  # "local": a cluster of its own, also where another one runs
                close_own_cluster()
                os.environ.update(import_ahead(trials, Path.cwd()))
                _start_own_cluster(quiet)
    except Exception as error:  # Ray raises a plain Exception where its processes take longer than half a minute
        ray.shutdown()
        if not address:
            raise UserError(
                f"Ray does not start on this machine: {error}; where it is busy, the same command may work later"
            ) from error
        raise UserError(
            f"no Ray cluster answers at --address {address} ({error}): is it up, "
            "and is RAY_AUTH_MODE set here as it is there?"
        ) from error
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def _start_own_cluster(how: dict[str, Any]) -> None:
    """Start Ray on this machine; once more where its processes took longer than the half minute that Ray gives them."""
    try:
        ray.init(address="local", include_dashboard=False, **how)
    except Exception as error:
        ray.shutdown()
        if "timed out during startup" not in str(error):
            raise
        ray.init(address="local", include_dashboard=False, **how)


def _close_token_file() -> None:
    """Take from others the permission to read the cluster's token, which Ray writes as the umask allows."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    with contextlib.suppress(OSError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _let_workers_import() -> None:
    """Name the directory of this code, and those of PYTHONPATH that are relative, by their full paths."""
    named = [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    code = str(Path(trainables.__file__).resolve().parents[1])
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    os.environ["PYTHONPATH"] = os.pathsep.join(named if code in {*named, *installed} else [*named, code])


def _empty_directory() -> str:
    """Return a directory of its own for Ray's processes to be in; it is removed when this one ends."""
    directory = tempfile.mkdtemp(prefix="segvote-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def cluster_share(**wanted: Any) -> Resources:
    """Return `share` of what the cluster has; a cluster that is still starting is waited for, a minute at most."""
    deadline = time.monotonic() + 60
    while not ray.cluster_resources().get("CPU") and time.monotonic() < deadline:
        time.sleep(1)
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return share([Node(int(has.get("CPU", 0)), has.get("GPU", 0.0)) for has in alive], **wanted)
