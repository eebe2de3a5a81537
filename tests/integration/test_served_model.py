"""`segvote export`, and the model that it registered behind a real server: the same class maps, over HTTP."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ensembling import hard_vote
from ensembling.predict.prediction import make_predictor
from ensembling.runs.members import open_ensemble
from search.cli import main
from search.tracking.store import connect, default_tracking_uri
from tests import tiny
from tests.ensembling.made_ensemble import make_study
from tests.integration.conftest import ROOT, TIMEOUT_S
from trainables.data.photo_list import list_photos

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def runs(tmp_path, empty_store):
    make_study(tmp_path / "runs", heads=("segformer", "fpn"))
    shutil.copy(empty_store, tmp_path / "runs" / "mlflow.db")
    return tmp_path / "runs"


@pytest.fixture
def photos(tmp_path):
    return list_photos(tiny.write_data(tmp_path / "data")).photos[:2]


def export(runs, *flags, ensemble="night"):
    typed = ["--ensemble", str(runs / ensemble) if "/" not in ensemble else ensemble, "--runs-dir", str(runs)]
    return main(["export", *typed, *flags])


def voted(ensemble, photos):
    maps = zip(*(make_predictor(member, ensemble, ensemble.views).class_maps(photos) for member in ensemble.members))
    return [hard_vote(np.stack(one), len(ensemble.class_names), ensemble.votes) for one in maps]


@pytest.fixture
def serve(runs):
    """Starts MLflow's own server on a registered model; gives a function that posts JSON to it."""
    processes = []

    def start(model):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": default_tracking_uri(runs), "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = str(ROOT)
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # MLflow starts uvicorn by name
        with (runs / "server.txt").open("w") as log:
            process = subprocess.Popen(
                command, env=environment, cwd=runs, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        processes.append(process)
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(f"{url}/ping", process)
        return lambda asked: _post(f"{url}/invocations", asked)

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_it_answers(url, process):
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)


def _post(url, asked):
    """The status, and the answer's class maps or its message."""
    request = urllib.request.Request(url, json.dumps(asked).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, json.load(answer)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]


def test_the_registered_model_answers_over_http_as_predict_does(runs, photos, serve, capsys):
    assert export(runs) == 0
    said = capsys.readouterr()
    assert "models:/night/1" in said.out
    assert said.err == "", "nothing but what was asked for is on the screen"
    ensemble = open_ensemble(str(runs / "night"), runs, None)
    expected = [one.tolist() for one in voted(ensemble, photos)]
    assert len(np.unique(expected)) > 1, "a constant map would prove nothing"
    client, experiment_id = connect(default_tracking_uri(runs), runs)
    logged = client.search_logged_models([experiment_id])
    assert [(model.name, model.status) for model in logged] == [("ensemble", "READY")]
    assert client.get_run(logged[0].source_run_id).info.status == "FINISHED"
    assert list((runs / "artifacts").rglob("best.safetensors")), "the model lies with the runs"

    # The registered model is an ensemble like others, though its study is gone.
    shutil.move(runs / "night", runs.parent / "gone")
    client.set_registered_model_alias("night", "best", "1")
    registered = open_ensemble("models:/night/1", runs, lambda: client)
    assert registered == open_ensemble("models:/night@best", runs, lambda: client)
    assert registered.members[0].weights.is_relative_to(runs / "downloaded")
    assert [one.tolist() for one in voted(registered, photos)] == expected
    assert export(runs, "--name", "again", ensemble="models:/night/1") == 0
    assert (runs / "exported" / "again" / "members" / "02" / "best.safetensors").exists()

    post = serve("models:/night/1")
    pixels = np.stack([np.asarray(Image.open(photo.path).convert("RGB")) for photo in photos])
    encoded = [base64.b64encode(photo.path.read_bytes()).decode() for photo in photos]
    assert post({"inputs": pixels.tolist()}) == (200, expected)
    assert post({"inputs": pixels[0].tolist()}) == (200, expected[0])
    assert post({"instances": pixels.tolist()}) == (200, expected)
    assert post({"dataframe_split": {"columns": ["image"], "data": [[one] for one in encoded]}}) == (200, expected)
    assert post({"instances": [{"image": one} for one in encoded]}) == (200, expected)
    assert post({"inputs": {"path": [str(photo.path) for photo in photos]}}) == (200, expected)
    status, message = post({"inputs": [[1, 2], [3, 4]]})
    assert status == 400
    assert "an image has the shape (2, 2), but must be (H, W, 3)" in message


def test_what_cannot_be_exported_is_said_in_one_line(runs, capsys, monkeypatch):
    def said(*flags, ensemble="night"):
        assert export(runs, *flags, ensemble=ensemble) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "--name 'a/b' is no valid name for a registered model" in said("--name", "a/b")
    assert "exists already" in said("--out", str(runs))
    assert "models:/nights/1 cannot be fetched from MLflow" in said(ensemble="models:/nights/1")
    assert "where VERSION is a number" in said(ensemble="models:/night/latest")
    monkeypatch.setattr("ensembling.export.member_formats.find_spec", lambda name: None)
    assert "--format onnx needs onnx, onnxscript, onnxruntime: pip install" in said("--format", "onnx")
    weights = runs / "night" / "trials" / "0001" / "best.safetensors"
    weights.unlink()
    assert "member night-0001" in said()
    assert not (runs / "exported").exists()
    client, _ = connect(default_tracking_uri(runs), runs)
    assert not client.search_registered_models()
