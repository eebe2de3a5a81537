"""What cluster.yaml promises that can be held against Ray's validator, this repository and a shell, without a cloud."""

import os
import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.command_runner import _with_interactive
from ray.autoscaler._private.util import prepare_config, validate_config

from search.cli.commands import commands

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text()
TOKEN = "~/.ray/auth_token"
STOCK_BASHRC = "case $- in *i*) ;; *) return;; esac\n"  # how Ubuntu's begins
LOOPBACK = "127.0.0.1"


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load(TEXT)


def flags(command: str, program: str) -> dict[str, str]:
    """The --flags that `program` is given in a shell command; a flag without value has ''."""
    words = shlex.split(command[command.index(program) :].split(">")[0])
    pairs = [word.removeprefix("--").partition("=") for word in words if word.startswith("--")]
    after = {word.removeprefix("--"): following for word, following in pairwise(words)}
    return {name: value if sign else after.get(name, "").rstrip(";") for name, sign, value in pairs}


def only(commands: list[str], program: str) -> str:
    (found,) = [command for command in commands if program in command]
    return found


def test_ray_accepts_it_and_it_names_cluster_and_region(config: dict[str, Any]) -> None:
    validate_config(prepare_config(config))
    assert config["cluster_name"] == "segvote"
    assert config["provider"]["region"] == config["metadata"]["region"]


def test_every_node_has_the_image_that_is_filled_in_above(config: dict[str, Any]) -> None:
    images = {node["node_config"]["ImageId"] for node in config["available_node_types"].values()}
    assert images == {config["metadata"]["image"]}
    assert config["metadata"]["shared_disk"] in config["setup_commands"]
    assert TEXT.count("FILL-IN") == str(config["metadata"]).count("FILL-IN") == 2


def test_workers_are_spot_and_start_at_zero_and_the_head_is_neither(config: dict[str, Any]) -> None:
    prepared = prepare_config(config)
    types = prepared["available_node_types"]
    head, worker = types.pop(config["head_node_type"]), types.pop("gpu_worker")
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert (worker["min_workers"], worker["max_workers"], prepared["max_workers"]) == (0, 8, 8)
    assert "InstanceMarketOptions" not in head["node_config"]
    assert not types


@pytest.mark.parametrize("room", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_ray_is_started_with_token_authentication(config: dict[str, Any], room: str) -> None:
    assert "RAY_AUTH_MODE=token ray start --" in only(config[room], "ray start")
    assert config["file_mounts"][TOKEN] == TOKEN


@pytest.mark.parametrize("shell", ["ray exec", "ssh"])
def test_drivers_find_the_token_mode_and_the_environment(config: dict[str, Any], tmp_path: Path, shell: str) -> None:
    (tmp_path / ".bashrc").write_text(STOCK_BASHRC)
    variables = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for _ in range(2):  # a second `ray up` runs it again
        subprocess.run(["bash", "-c", config["setup_commands"][0]], check=True, env=variables)
    assert (tmp_path / ".bashrc").read_text().count("RAY_AUTH_MODE") == 1
    show = "echo $RAY_AUTH_MODE $PATH"
    line = " ".join(_with_interactive(show)) if shell == "ray exec" else f"source ~/.bashrc; {show}"
    done = subprocess.run(["bash", "-c", line], env=variables, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    mode, path = done.stdout.split(maxsplit=1)
    assert mode == "token"
    assert path.startswith(f"{tmp_path}/segvote/.venv/bin:")


def test_servers_listen_on_loopback_and_off_the_ports_of_rays_workers(config: dict[str, Any]) -> None:
    head = flags(only(config["head_start_ray_commands"], "ray start"), "ray start")
    mlflow = flags(only(config["head_start_ray_commands"], "mlflow server"), "mlflow server")
    assert (head["dashboard-host"], mlflow["host"]) == (LOOPBACK, LOOPBACK)
    ports = [int(head["port"]), int(head["object-manager-port"]), int(mlflow["port"])]
    assert not [port for port in ports if 10002 <= port <= 19999]
    worker = only(config["worker_start_ray_commands"], "ray start")
    assert flags(worker, "ray start")["address"] == f"$RAY_HEAD_IP:{head['port']}"
    assert "~/ray_bootstrap_config.yaml" in head["autoscaling-config"]


def test_mlflow_keeps_its_database_off_the_shared_disk_and_its_artifacts_on_it(config: dict[str, Any]) -> None:
    command = only(config["head_start_ray_commands"], "mlflow server")
    server = flags(command, "mlflow server")
    assert "cd ~/mlflow &&" in command
    assert server["backend-store-uri"] == "sqlite:///mlflow.db"
    assert server["artifacts-destination"].startswith("/shared/")


def test_what_is_copied_is_here_and_is_all_that_the_installation_needs(config: dict[str, Any]) -> None:
    mounts = {remote: local for remote, local in config["file_mounts"].items() if remote != TOKEN}
    assert [local for local in mounts.values() if not (ROOT / local).exists()] == []
    assert mounts == {f"~/segvote/{local}": local for local in mounts.values()}
    needed = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}
    assert set(mounts.values()) == needed | {"Makefile", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    assert "make -C ~/segvote .venv/ready" in config["setup_commands"]
    assert ".venv/ready:" in (ROOT / "Makefile").read_text()


def test_the_documented_search_can_be_typed_as_it_stands(config: dict[str, Any]) -> None:
    (line,) = re.findall(r"ray exec --tmux cluster.yaml '(.+)'$", TEXT, re.MULTILINE)
    given = flags(line, "search/run.py")
    known = {option for parameter in commands.commands["search"].params for option in parameter.opts}
    assert {f"--{name}" for name in given} <= known
    mlflow = flags(only(config["head_start_ray_commands"], "mlflow server"), "mlflow server")
    assert given["tracking-uri"] == f"http://{mlflow['host']}:{mlflow['port']}"
    assert int(given["concurrency"]) == config["max_workers"]
    assert (given["address"], given["gpus-per-trial"]) == ("auto", "1")
    assert given["runs-dir"].startswith("/shared/")
    assert (ROOT / "spaces" / f"{given['space']}.py").exists()


@pytest.mark.parametrize("room", ["setup_commands", "head_start_ray_commands", "worker_start_ray_commands"])
def test_the_commands_are_shell(config: dict[str, Any], room: str) -> None:
    for command in config[room]:
        assert subprocess.run(["bash", "-n", "-c", command], capture_output=True).stderr == b"", command


def test_no_node_starts_ray_without_the_shared_disk(config: dict[str, Any]) -> None:
    for room in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert config[room][0] == "mountpoint /shared || sudo mount /shared"
