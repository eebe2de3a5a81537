"""The processes that Ray starts with the search are those in which the trials run."""

import json
import os
import subprocess
import sys

import pytest

from search.tuning.cluster import start_ray

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

def workers():
    lines = {child.pid: child.cmdline() for child in psutil.Process().children(recursive=True)}
    titles = {pid: line[0] for pid, line in lines.items() if not line[0].endswith("Agent")}  # Ray's own
    return [pid for pid in titles if titles[pid].startswith("ray::") or lines[pid][1].endswith("default_worker.py")]

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


@pytest.mark.parametrize(("gpus", "imported"), [(0, True), (1, True), (4, False)])
def test_pytorch_is_imported_after_a_trial_has_been_given_one_of_several_gpus(monkeypatch, gpus, imported):
    monkeypatch.setattr(start_ray, "read_gpus", lambda: [object()] * gpus)
    assert ("RAY_preload_python_modules" in start_ray._prepare_trial_processes(4)) is imported
