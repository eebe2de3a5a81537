"""start_ray() joins a Ray cluster, or starts one on this machine whose processes get ready for trials at once."""

import atexit
import contextlib
import logging
import os
import resource
import shutil
import signal
import socket
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

import trainables
from search.screen.gpus import visible_gpus
from search.tuning.cluster.ray_access import close_own_cluster
from trainables.errors import UserError
from trainables.hardware.cores import usable_cores
from trainables.hardware.loader_server import START_AHEAD

SHORT_TMPDIR = "/tmp"
LONGEST_TMPDIR = 38  # bytes: a socket's name has 107 at most, and 69 of them are Ray's
END_S = 2.0  # that Ray may take to end
CONNECT_S = 10.0  # that a cluster's head may take to accept a connection
IMPORTS_AHEAD = "search.tuning.cluster.imports_ahead"
_apart = threading.Event()  # set while the processes that this one forks are to leave its process group
os.register_at_fork(after_in_child=lambda: os.setpgrp() if _apart.is_set() else None)


def start_ray(address: str | None, *, trials: int = 0, on_gpus: bool = True) -> None:
    """Join the cluster at `address`, or start Ray on this machine without a dashboard, unless that was done already.

    On a cluster of this machine alone, `trials` processes begin to import what a trial needs. `on_gpus` says whether
    trials are to use this machine's GPUs, if it has any.

    A cluster of this machine alone takes requests of its own processes only (see ray_access.py beside this file). Ray's
    workers look for modules where the driver's current directory is: that must not be one with a user's files.

    Raises UserError where Ray does not start, or where no cluster answers.
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
    if len(os.fsencode(os.environ.get("TMPDIR", ""))) > LONGEST_TMPDIR:  # as batch systems set it for each job
        os.environ["TMPDIR"] = SHORT_TMPDIR
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with contextlib.chdir(_empty_directory()), _own_handler_of(signal.SIGTERM):
            if address:
                _check_answers(address)
                _close_token_file()
                ray.init(address=address, **quiet)
            else:  # "local": a cluster of its own, also where another one runs
                close_own_cluster()
                os.environ.update(_prepare_trial_processes(trials, on_gpus))
                _start_own_cluster(quiet)
    except Exception as error:  # Ray raises a plain Exception where its processes take longer than half a minute
        ray.shutdown()
        if not address:
            raise UserError(f"Ray does not start on this machine: {error}; {_remedy(error)}") from error
        raise UserError(
            f"no Ray cluster answers at --address {address} ({error}): is it up, "
            "and is RAY_AUTH_MODE set here as it is there?"
        ) from error
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


@contextlib.contextmanager
def _own_handler_of(number: signal.Signals) -> Iterator[None]:
    """Return a context after which the signal has the handler of before, if there was one: Ray sets one of its own."""
    handler = signal.getsignal(number)
    try:
        yield
    except SystemExit:  # as Ray's handler ends the process
        raise KeyboardInterrupt from None
    finally:
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(number, handler)


def _remedy(error: Exception) -> str:
    """Return what to do where Ray does not start on this machine."""
    name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)), None)
    if name and isinstance(error, OSError):
        return f"{name} is {os.environ[name]}: set it to a directory with a short name that you can write to, like /tmp"
    logs = Path(os.environ[name] if name else SHORT_TMPDIR, "ray", "session_latest", "logs")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        return (
            f"a process may address {limit / 2**30:.0f} GiB here, as ulimit -v says, and Ray's processes reserve more "
            f"than they use: lift that limit, or have the batch system limit what is used; Ray's logs are in {logs}"
        )
    return f"where it is busy, the same command may work later; Ray's logs are in {logs}"


def _check_answers(address: str) -> None:
    """Raise OSError where nothing answers at HOST:PORT: Ray would try again for minutes, and then end the process.

    Other forms, such as auto, are left to Ray.
    """
    host, colon, port = address.rpartition(":")
    if colon and "/" not in host and port.isascii() and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()


def _prepare_trial_processes(trials: int, on_gpus: bool) -> dict[str, str]:
    """Return Ray's settings with which it starts `trials` processes at once and keeps them until trials need them.

    Ray starts a process for each core otherwise, and ends those that are idle as soon as Tune reserves the cores for
    trials: the trials would then wait for new processes.

    The GPUs that Ray gives a trial later are the only ones that it sees, since what is imported asks the driver for
    none before the trial begins.
    """
    if not trials:
        return {}
    return {
        "RAY_worker_maximum_startup_concurrency": str(trials),
        "RAY_num_workers_soft_limit": str(trials),
        "RAY_preload_python_modules": IMPORTS_AHEAD,
        START_AHEAD: "1" if on_gpus and visible_gpus() else "",
    }


def use_prepared_processes() -> None:
    """Let Ray Tune run trials in the processes that were started for them on this machine.

    Tune sets variables of the environment for each trial, and Ray gives no trial with variables of its own a process
    that it started without them. The driver's own variables are set in all processes that it starts.
    """
    from ray.tune.execution import class_cache

    class_cache.DEFAULT_ENV_VARS.clear()
    class_cache.ENV_VARS_TO_PROPAGATE.clear()


def _start_own_cluster(how: dict[str, Any]) -> None:
    """Start Ray on this machine; once more where its processes took longer than the half minute that Ray gives them.

    They have a process group of their own: a signal to that of the command, as `timeout` sends it, would end them at
    once, and Ray's driver ends a process whose Ray has died without a word, before its last steps.

    Ray itself would count all cores of the machine, also where a batch system gives this process a few of them.
    """
    how = {**how, "address": "local", "include_dashboard": False, "num_cpus": usable_cores()}
    _apart.set()
    try:
        ray.init(**how)
    except Exception as error:
        ray.shutdown()
        if "timed out during startup" not in str(error):
            raise
        ray.init(**how)
    finally:
        _apart.clear()


def end_ray() -> None:
    """Leave the cluster, and end its processes where they are this command's own, within a short time.

    Ray waits for many seconds for processes that a signal to all of them, as SLURM sends it, has ended before.
    """
    ending = threading.Thread(target=ray.shutdown, name="end of ray", daemon=True)
    ending.start()
    ending.join(END_S)


def _close_token_file() -> None:
    """Take from others the permission to read the cluster's token, which Ray writes as the umask allows."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    with contextlib.suppress(OSError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _let_workers_import() -> None:
    """Name the directory of this code, and those of PYTHONPATH that are relative, by their full paths.

    That of this code is first: a user may have packages that are called search or spaces, too.
    """
    named = [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    code = str(Path(trainables.__file__).resolve().parents[1])
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    os.environ["PYTHONPATH"] = os.pathsep.join(named if code in installed else dict.fromkeys([code, *named]))


def _empty_directory() -> str:
    """Return a directory of its own for Ray's processes to be in; it is removed when this one ends."""
    directory = tempfile.mkdtemp(prefix="segvote-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
