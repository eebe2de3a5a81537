"""What the command line says before anything is trained, and MLflow's pages."""

import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psutil
import pytest

from search.cli import main

TRAINING = ["--no-pretrained", "--image-size", "32", "--epochs", "1", "--trials", "1"]


@pytest.mark.parametrize(
    ("gpus", "why"), [([], "No GPU was found"), (["--gpus-per-trial", "0"], "No GPU was asked for")]
)
def test_dry_run_shows_the_plan_and_leaves_nothing(line, gpus, why):
    plan = ["--space", "cnn_heads", "--data", str(line.data), *TRAINING, "--name", "plan", "--dry-run"]
    code = line.run_here(*plan, *gpus)
    assert code == 0, line.output()
    for words in (
        "6 photos in the holdout, 20 for training in 5 folds, 2 in the test",
        "trial 1: ",
        "head=",
        why,
        "at a time",
    ):
        assert words in line.output()
    assert not (line.runs / "plan").exists()


def _without_train(directory):
    (directory / "train.json").unlink()


def _not_json(directory):
    (directory / "train.json").write_text("{")


def _truncated(directory):
    photo = next((directory / "images" / "train").glob("*.jpg"))
    photo.write_bytes(photo.read_bytes()[: photo.stat().st_size // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(_without_train, "train.json"), (_not_json, "JSON"), (_truncated, "truncated")],
)
def test_unusable_data_ends_with_code_2_and_a_message(line, data_dir, capfd, spoil, message):
    spoiled = line.directory / "spoiled"
    shutil.copytree(data_dir, spoiled)
    spoil(spoiled)
    arguments = ["search", "--data", str(spoiled), "--space", "cnn_heads", *TRAINING, "--name", "spoiled"]
    assert main([*arguments, "--runs-dir", str(line.runs), "--cache-dir", str(line.directory / "cache")]) == 2
    error = capfd.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (line.runs / "spoiled").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--space", "swim_heads"], "unknown space 'swim_heads' (did you mean swin_heads?): choose one of quickstart"),
        (["--fix", "backbon=resnet18"], "--fix backbon: unknown key"),
        (["--fix", "backbone"], "write key=value"),
        (["--fix", "head=upernett"], "unknown head 'upernett'"),
        (["--image-size", "big"], "image_size is 'big'"),
        (["--grid", "colour"], "--grid colour"),
        (["--time-budget", "soon"], "--time-budget is 'soon'"),
        (["--weights-dir", "/nowhere"], "--weights-dir /nowhere is no directory"),
        (["--init-from", "/nowhere"], "--init-from /nowhere is no file"),
        (["--resume", "--name", "never"], "there is no study never"),
        (["--name", "a/b"], "--name 'a/b'"),
        (["--trials", "0"], "--trials"),
        (["--no-such-flag"], "--no-such-flag"),
    ],
)
def test_wrong_flags_end_with_code_2_and_a_message(line, capfd, flags, message):
    arguments = ["search", "--data", str(line.data), "--runs-dir", str(line.runs), *flags]
    assert main([*arguments, "--cache-dir", str(line.directory / "cache")]) == 2
    error = capfd.readouterr().err
    assert message in " ".join(error.split())
    assert "Traceback" not in error


def test_taken_name_is_refused_with_both_ways_on(line, capfd):
    (line.runs / "taken").mkdir()
    (line.runs / "taken" / "study.json").write_text("{}")
    assert main(["search", "--name", "taken", "--data", str(line.data), "--runs-dir", str(line.runs)]) == 2
    error = capfd.readouterr().err
    assert "--resume" in error
    assert "--name" in error


def test_missing_weights_name_both_ways_out(line):
    arguments = ["--space", "cnn_heads", "--data", str(line.data), "--fix", "backbone=resnet50", "--image-size", "32"]
    code = line.run_here(*arguments, "--dry-run")
    if code == 0:
        pytest.skip("the weights of resnet50 are here or can be downloaded")
    assert code == 2
    assert "--weights-dir" in line.output()
    assert "--no-pretrained" in line.output()
    assert "Traceback" not in line.output()


def test_list_spaces_shows_choices(capfd):
    assert main(["search", "--list-spaces"]) == 0
    shown = capfd.readouterr().out
    assert "quickstart" in shown
    assert "swin_tiny_patch4_window7_224" in shown


def test_ui_serves_mlflow_on_loopback_and_opens_the_page_of_a_server_that_runs(line, capsys):
    client, experiment = line.client()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from search.cli import console_script; console_script()"]
    server = subprocess.Popen(
        [*command, "ui", "--runs-dir", str(line.runs), "--port", str(port)], start_new_session=True
    )
    try:
        uri = f"http://127.0.0.1:{port}"
        assert _answers(f"{uri}/health", server) == b"OK"
        assert main(["ui", "--tracking-uri", uri]) == 0
        assert f"{uri}/#/experiments/{experiment}/runs?workflowType=machine_learning" in capsys.readouterr().out
        assert "mlflow.sharedViewState.segvote" in client.get_experiment(experiment).tags
        started = psutil.Process(server.pid).children(recursive=True)
        assert started
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)
    _, alive = psutil.wait_procs(started, timeout=30)
    assert alive == []


def _answers(address: str, server: subprocess.Popen) -> bytes:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return urllib.request.urlopen(address, timeout=5).read()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError("MLflow's server did not answer")
