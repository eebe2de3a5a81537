"""The Ray cluster of a search takes no request of somebody who has not its token."""

import os
import subprocess
import sys

import pytest

# What the search does first, and then the address of its cluster and its token.
SEARCH = """
from search.tuning.cluster.ray_access import close_own_cluster
close_own_cluster()
import os, sys, ray
from search.tuning.cluster.start_ray import start_ray
start_ray(None)
print(ray.get_runtime_context().gcs_address, os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"], flush=True)
sys.stdin.read()
"""
STRANGER = """
import sys, ray
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
print("has", ray.cluster_resources()["CPU"], "cores")
"""
OURS = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address, the mode and the token of a running cluster."""
    search = subprocess.Popen(
        [sys.executable, "-c", SEARCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(), text=True
    )
    yield search.stdout.readline().split()
    search.stdin.close()
    search.wait()


def _environment(**changes):
    return {key: value for key, value in os.environ.items() if key not in OURS} | changes


@pytest.mark.parametrize("mode", ["", "disabled", "token"])
def test_a_stranger_is_refused(cluster, tmp_path, mode):
    address, its_mode, token = cluster
    assert (its_mode, len(token)) == ("token", 64)
    changes = {"RAY_AUTH_MODE": mode} if mode else {}
    changes |= {"RAY_AUTH_TOKEN": "0" * 64} if mode == "token" else {}
    answer = _try(address, HOME=str(tmp_path), **changes)
    assert answer.returncode != 0
    assert "cores" not in answer.stdout
    assert "uthenticat" in answer.stderr


def test_who_has_the_token_is_let_in(cluster):
    """So that the test above fails for want of the token and of nothing else."""
    address, mode, token = cluster
    answer = _try(address, RAY_AUTH_MODE=mode, RAY_AUTH_TOKEN=token)
    assert answer.returncode == 0, answer.stderr
    assert "cores" in answer.stdout


def _try(address, **environment):
    command = [sys.executable, "-c", STRANGER, address]
    return subprocess.run(command, env=_environment(**environment), capture_output=True, text=True, timeout=300)
