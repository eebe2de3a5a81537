"""The epoch in progress: what its process writes now and then, and what others read."""

import pytest
import torch

from tests import tiny
from trainables.files import write_text
from trainables.trial import running_epoch
from trainables.trial.files import TrialFiles
from trainables.trial.running_epoch import WRITE_EVERY_S, RunningEpoch, epochs_from_json, epochs_to_json
from trainables.trial.trial import Trial


@pytest.fixture
def files(tmp_path):
    (tmp_path / "0001").mkdir()
    return TrialFiles(tmp_path / "0001")


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the writer sees, which a test sets."""
    seconds = [100.0]
    monkeypatch.setattr(running_epoch.time, "monotonic", lambda: seconds[0])
    return seconds


def test_what_is_written_is_read(files, clock):
    files.running_epoch.begin(3)
    clock[0] += 5
    files.running_epoch.step(4, 10, torch.tensor(2.0))
    found = files.running_epoch.read()
    assert (found.epoch, found.step, found.steps, found.loss, found.elapsed_s) == (3, 4, 10, 0.5, 5.0)
    assert (found.share, found.expected_s) == (0.4, 12.5)


def test_before_the_first_step_there_is_no_loss(files):
    files.running_epoch.begin(1)
    files.running_epoch.step(0, 10, torch.tensor(0.0))
    found = files.running_epoch.read()
    assert (found.step, found.loss, found.expected_s) == (0, None, None)


def test_the_loss_is_read_now_and_then_only(files, clock):
    """Each reading waits for the GPU."""
    read = []

    class Total:
        def __float__(self):
            read.append(clock[0])
            return 1.0

    files.running_epoch.begin(1)
    for step in range(1, 101):  # 10 s
        files.running_epoch.step(step, 101, Total())
        clock[0] += 0.1
    assert len(read) == 10 / WRITE_EVERY_S
    files.running_epoch.step(101, 101, Total())
    clock[0] += 0.1
    assert files.running_epoch.read().step == 101  # it is being scored, which may take long


@pytest.mark.parametrize("content", ["", "{", "[]", '{"epoch": 1}', '{"epoch": "x"}', "\x00"])
def test_what_cannot_be_read_is_left_out(files, content):
    assert files.running_epoch.read() is None
    write_text(files.running_epoch.path, content)
    assert files.running_epoch.read() is None


def test_what_cannot_be_written_ends_no_trial(files, tmp_path):
    files.directory.rmdir()
    files.directory.write_text("a file where the directory should be")
    files.running_epoch.begin(1)
    files.running_epoch.step(1, 2, torch.tensor(1.0))
    assert files.running_epoch.read() is None


def test_several_go_through_text():
    epochs = {1: RunningEpoch(1, 0, 9, None, 0.0, 5.0), 12: RunningEpoch(2, 3, 9, 0.5, 1.0, 6.0)}
    assert epochs_from_json(epochs_to_json(epochs)) == epochs
    assert epochs_from_json("") == {}


@pytest.mark.usefixtures("one_thread")
def test_a_trial_writes_its_steps_and_forgets_them_at_its_end(study, files, monkeypatch):
    monkeypatch.setattr(running_epoch, "WRITE_EVERY_S", 0.0)
    trial = Trial(tiny.config(epochs=2), study, files)
    for epoch in (1, 2):
        record = trial.next_epoch()
        found = files.running_epoch.read()
        assert (found.epoch, found.step) == (epoch, found.steps)
        assert found.loss == pytest.approx(record["train/loss"])
    files.forget_training_state()
    assert files.running_epoch.read() is None
