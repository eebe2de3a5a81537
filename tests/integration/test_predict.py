"""`segvote predict` that is killed in the middle goes on to the same bytes."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from ensembling.predict.class_maps import count_class_maps
from search.cli import main
from tests import tiny
from tests.ensembling.made_ensemble import make_study

PHOTOS = 160


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo = tiny.write_data(tmp_path / "data") / "1.png"
    (tmp_path / "photos").mkdir()
    for number in range(PHOTOS):
        shutil.copy(photo.with_name(f"{number % 8 + 1}.png"), tmp_path / "photos" / f"{number:03d}.png")
    make_study(tmp_path / "runs", heads=("segformer", "fpn"))
    return tmp_path


def test_a_killed_prediction_goes_on(place, wait_for, capsys):
    typed = ["predict", "--ensemble", "runs/night", "--images", "photos", "--write", "csv", "maps", "--out"]
    command = [sys.executable, "-c", "from search.cli import console_script; console_script()", *typed, "out"]
    process = subprocess.Popen(command, start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    second = place / "out" / "members" / "02-night-0001.maps"
    wait_for(lambda: count_class_maps(second) > 10, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < count_class_maps(second) < PHOTOS, "it was not killed in the middle"
    assert not (place / "out" / "submission.csv").exists()

    assert main([*typed, "out"]) == 0
    assert main([*typed, "whole"]) == 0
    for file in ("submission.csv", "members/01-night-0000.maps", "members/02-night-0001.maps", "maps/123.png"):
        assert (place / "out" / file).read_bytes() == (place / "whole" / file).read_bytes()
