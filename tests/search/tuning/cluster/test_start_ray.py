"""The processes that Ray starts with the search are those in which the trials run."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from search.tuning.cluster import start_ray
from trainables.errors import UserError

TRIALS = 2
SEARCH = """
import json, os, sys, time
from search.tuning.cluster.start_ray import start_ray, use_prepared_processes
start_ray(None, trials=int(sys.argv[1]))
import psutil
from ray import tune

class Trial(tune.Trainable):
    def step(self):
        import torch
        return {"done": True, "pid": os.getpid()}

def command_line(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []  # it has ended meanwhile

def workers():
    lines = {child.pid: command_line(child) for child in psutil.Process().children(recursive=True)}
    return [pid for pid, line in lines.items() if line and is_worker(*line)]

def is_worker(title, *arguments):
    if title.startswith("ray::"):
        return not title.endswith("Agent")  # which are Ray's own
    return bool(arguments) and arguments[0].endswith("default_worker.py")

while len(workers()) < int(sys.argv[1]):
    time.sleep(0.1)
ready = workers()
time.sleep(3)  # Ray ends processes that have been idle for a second
use_prepared_processes()
tuner = tune.Tuner(
    Trial,
    tune_config=tune.TuneConfig(num_samples=int(sys.argv[1])),
    run_config=tune.RunConfig(
        storage_path=sys.argv[2],
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        verbose=0,
    ),
)
print(json.dumps({"ready": ready, "used": [result.metrics["pid"] for result in tuner.fit()]}))
"""


def test_trials_run_in_the_processes_that_were_started_for_them(tmp_path):
    # Tune hands these on to each trial where they are set.
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    run = subprocess.run(
        [sys.executable, "-c", SEARCH, str(TRIALS), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    processes = json.loads(run.stdout.strip().splitlines()[-1])
    assert len(processes["ready"]) == TRIALS
    assert sorted(processes["used"]) == sorted(processes["ready"])


@pytest.mark.parametrize(("gpus", "on_gpus", "started"), [(0, True, ""), (4, True, "1"), (4, False, "")])
def test_where_trials_use_gpus_the_server_of_their_loader_processes_is_started_ahead(
    monkeypatch, gpus, on_gpus, started
):
    monkeypatch.setattr(start_ray, "visible_gpus", lambda: gpus)
    assert start_ray._prepare_trial_processes(4, on_gpus)["SEGVOTE_START_LOADER_SERVER"] == started


ASKED = """
import traceback

import torch

asked = []

def spy(*arguments):
    asked.append("".join(traceback.format_stack()))
    return 0

torch._C._cuda_getDeviceCount = torch._C._cuda_init = spy
import search.tuning.cluster.imports_ahead
import threading

for thread in threading.enumerate():
    if thread.name == "imports":
        thread.join()
print(*asked, sep="\\n")
"""


def test_what_a_trial_imports_asks_the_driver_for_no_gpu():
    """Otherwise a trial would see all GPUs, and not those alone that Ray gives it after the imports."""
    run = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert not run.stdout.strip(), run.stdout


@pytest.mark.parametrize("port", [9, 99999])
def test_an_address_where_nothing_answers_is_said_before_ray_tries_for_minutes(monkeypatch, port):
    monkeypatch.setattr(start_ray.ray, "init", lambda **_: pytest.fail("Ray was asked"))
    with pytest.raises(UserError, match=f"no Ray cluster answers at --address 127.0.0.1:{port} .*: is it up"):
        start_ray.start_ray(f"127.0.0.1:{port}")


START = """
import os, signal
from search.tuning.cluster.start_ray import start_ray
own = lambda *_: None
signal.signal(signal.SIGTERM, own)
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # as a batch system gives a job a part of the cores
start_ray(None)
import psutil, ray
children = psutil.Process().children()
apart = bool(children) and all(os.getpgid(child.pid) != os.getpgrp() for child in children)
inside = os.path.isdir(os.path.join(os.environ["TMPDIR"], "ray"))
print(inside, signal.getsignal(signal.SIGTERM) is own, apart, ray.cluster_resources()["CPU"])
"""


def test_ray_starts_on_the_cores_that_are_given_below_a_long_directory_beside_handler_and_process_group(tmp_path):
    long = tmp_path / ("long" * 20)
    long.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", START], env={**os.environ, "TMPDIR": str(long)}, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "True True True 1.0\n"), run.stderr


def test_a_limit_of_addresses_is_named_where_ray_does_not_start(monkeypatch):
    def time_out(**_):
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(start_ray.ray, "init", time_out)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with pytest.raises(UserError, match="where it is busy, the same command may work later"):
        start_ray.start_ray(None)
    monkeypatch.setattr(start_ray.resource, "getrlimit", lambda _: (6 * 2**30, 6 * 2**30))
    with pytest.raises(UserError, match="a process may address 6 GiB here, as ulimit -v says"):
        start_ray.start_ray(None)


def test_the_end_of_a_stopped_command_does_not_wait_for_ray_for_long(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(start_ray.ray, "shutdown", ended.wait)
    start_ray.end_ray()
    assert not ended.is_set()
    ended.set()


@pytest.mark.parametrize("directory", ["/proc/nowhere", "/tmp/" + "long" * 20])
def test_a_directory_that_ray_cannot_use_is_named_with_what_to_do(monkeypatch, directory):
    monkeypatch.setenv("RAY_TMPDIR", directory)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with pytest.raises(UserError, match=rf"RAY_TMPDIR is {directory}: set it to a directory with a short name"):
        start_ray.start_ray(None)


def test_workers_find_this_code_before_what_pythonpath_names(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code = Path(start_ray.__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["lib", str(code)]))
    start_ray._let_workers_import()
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(code), str(tmp_path / "lib")])
