"""Whether a process runs a study: it is seen on its own machine, and nothing is claimed of another one."""

import os
import shutil
import subprocess
import sys

import pytest

from search.study.driver import Driver, driver_alive, driving
from trainables.files import read_json, write_json

RUNS = """
import sys, time
from pathlib import Path
from search.study.driver import driving
with driving(Path(sys.argv[1])):
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def process(tmp_path):
    """A process that runs the study in `tmp_path`."""
    process = subprocess.Popen([sys.executable, "-c", RUNS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def change(directory, **values):
    path = directory / "driver.json"
    write_json(path, read_json(path) | values)


def test_a_process_that_is_killed_runs_the_study_no_more(process, tmp_path):
    assert driver_alive(tmp_path) is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its parent has not taken note of it
    assert driver_alive(tmp_path) is False
    process.wait()
    assert driver_alive(tmp_path) is False


def test_a_copy_of_a_running_study_is_run_by_nobody(process, tmp_path):
    study, copy, link = tmp_path, tmp_path.with_name("copy"), tmp_path.with_name("link")
    shutil.copytree(study, copy)
    link.symlink_to(study)
    assert [driver_alive(one) for one in (study, link, copy)] == [True, True, False]
    process.kill()
    process.wait()
    assert [driver_alive(one) for one in (study, link, copy)] == [False, False, False]


def test_a_process_is_found_in_the_file_of_a_version_that_noted_no_directory(process, tmp_path):
    noted = read_json(tmp_path / "driver.json")
    write_json(tmp_path / "driver.json", {key: noted[key] for key in ("machine", "pid", "started", "ended")})
    assert driver_alive(tmp_path) is True
    process.kill()
    process.wait()
    assert driver_alive(tmp_path) is False


def test_a_running_study_that_was_renamed_is_no_copy(process, tmp_path):
    renamed = tmp_path.rename(tmp_path.with_name("renamed"))
    assert driver_alive(renamed) is True


def test_a_later_process_of_the_same_number_is_another_one(process, tmp_path):
    change(tmp_path, started=read_json(tmp_path / "driver.json")["started"] - 1)
    assert driver_alive(tmp_path) is False


@pytest.mark.parametrize("values", [{"machine": "another"}, {"machine": ""}, {"pid": "7"}])
def test_nothing_is_claimed_of_a_process_that_cannot_be_seen(process, tmp_path, values):
    change(tmp_path, **values)
    assert driver_alive(tmp_path) is None


def test_processes_of_others_that_are_hidden_are_not_called_dead(process, tmp_path, monkeypatch):
    monkeypatch.setattr("search.study.driver._state_and_start", lambda pid: ("", None))
    assert driver_alive(tmp_path) is None


def test_a_study_without_the_file_or_with_a_damaged_one_says_nothing(tmp_path):
    assert driver_alive(tmp_path) is None
    (tmp_path / "driver.json").write_text('{"machine"')
    assert driver_alive(tmp_path) is None


def test_the_process_that_left_a_study_runs_it_no_more(tmp_path):
    def interrupted():
        with driving(tmp_path):
            assert driver_alive(tmp_path) is True
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert driver_alive(tmp_path) is False
    change(tmp_path, machine="another")
    assert driver_alive(tmp_path) is False


def test_a_study_that_is_claimed_is_run_by_this_process(study):
    with study.claimed(resume=True):
        assert driver_alive(study.directory) is True
    assert driver_alive(study.directory) is False


def test_a_number_that_no_process_can_have_is_of_none(process, tmp_path):
    change(tmp_path, pid=2**22 + 1)  # above the most that Linux gives
    assert driver_alive(tmp_path) is False
    assert Driver("elsewhere", 1, 1, "there", 1, ended=True).alive is False
