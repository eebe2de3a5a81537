"""SegmentationTrainable, called as Ray Tune calls it, in this process and without Ray."""

import errno
import logging

import pytest
import torch
from filelock import FileLock, Timeout
from ray.exceptions import WorkerCrashedError

from tests import tiny
from trainables.errors import NodeError
from trainables.ray_trainable import OBJECTIVE, SegmentationTrainable
from trainables.trial.files import TrialFiles
from trainables.trial.trial import Trial

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def trials_dir(tmp_path):
    for number in (1, 2):
        (tmp_path / f"{number:04d}").mkdir()
    return tmp_path


@pytest.fixture
def begin(study, trials_dir):
    """Sets a trainable up for a trial; what it opened is closed after the test."""
    made = []

    def begin(number=1, **changes):
        trainable = object.__new__(SegmentationTrainable)  # Tune's own constructor wants its storage
        made.append(trainable)
        how = {"study": study, "trials_dir": str(trials_dir), "cpus": 1, "gpus": 0.0}
        trainable.setup({"number": number, "params": tiny.params(**changes)}, **how)
        return trainable

    yield begin
    for trainable in made:
        trainable.cleanup()


def test_each_step_is_an_epoch_and_the_last_one_says_so(begin, trials_dir):
    trainable = begin(epochs=2)
    first, second = trainable.step(), trainable.step()
    assert (first["epoch"], first["done"]) == (1, False)
    assert (second["epoch"], second["done"]) == (2, True)
    records = TrialFiles(trials_dir / "0001").records()
    assert [record[OBJECTIVE] for record in records] == [first[OBJECTIVE], second[OBJECTIVE]]


def test_a_reused_process_trains_the_next_trial_as_a_fresh_one_would(begin, trials_dir):
    trainable = begin(epochs=2)
    trainable.step()
    assert trainable.reset_config({"number": 2, "params": tiny.params(epochs=2)}) is True
    trainable.step()
    first, second = (TrialFiles(trials_dir / name).records() for name in ("0001", "0002"))
    assert tiny.timeless(second) == tiny.timeless(first)


def test_another_process_goes_on_where_the_first_one_left_the_trial(begin):
    first = begin(epochs=2)
    first.step()
    first.cleanup()
    assert begin(epochs=2).step()["epoch"] == 2


def test_a_trial_waits_for_the_process_that_still_trains_an_epoch_of_it(begin, trials_dir, monkeypatch):
    monkeypatch.setattr("trainables.ray_trainable.LOCK_TIMEOUT_S", 0.1)
    trial = begin(epochs=2)
    with FileLock(TrialFiles(trials_dir / "0001").lock, timeout=0.1), pytest.raises(Timeout):
        trial.step()
    assert trial.step()["epoch"] == 1


def test_a_paused_trial_goes_on_in_another_process_while_the_first_one_waits(begin):
    waiting = begin(epochs=2)
    waiting.step()
    assert begin(epochs=2).step()["epoch"] == 2


def test_a_loss_that_is_no_number_is_reported_and_not_retried(begin, trials_dir):
    result = begin(epochs=3, lr=1e30, optimizer="sgd").step()
    assert result["done"] is True
    assert (result["epoch"], result[OBJECTIVE]) == (0, 0.0)
    assert result["failure"].startswith("NonFiniteError: the training loss became ")
    log = TrialFiles(trials_dir / "0001").log.read_text()
    assert "trial 1 failed: the training loss became" in log
    assert "Traceback" in log


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"head": "unett"}, "UserError: unknown head 'unett'"),
        ({"fold": 3}, "UserError: fold is 3, but there are 3"),
    ],
)
def test_an_impossible_configuration_fails_its_trial_with_its_reason(begin, changes, reason):
    result = begin(**changes).step()
    assert result["done"] is True
    with pytest.raises(ValueError, match=reason):
        raise ValueError(result["failure"])


def test_what_this_machine_lacks_is_left_to_tune_and_to_a_resumed_study(begin, trials_dir):
    with pytest.raises(NodeError, match="--weights-dir /nowhere is not a directory"):
        begin(pretrained=True, weights_dir="/nowhere").step()
    assert "/nowhere" in TrialFiles(trials_dir / "0001").log.read_text()


def test_a_trial_with_a_state_needs_no_pretrained_weights(begin):
    first = begin(epochs=2)
    first.step()
    first.cleanup()
    assert begin(epochs=2, pretrained=True, weights_dir="/nowhere").step()["epoch"] == 2


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), AttributeError("none"), KeyError("x")])
def test_whatever_else_a_configuration_raises_fails_its_trial_for_good(begin, trials_dir, monkeypatch, error):
    def fail(self):
        raise error

    monkeypatch.setattr(Trial, "next_epoch", fail)
    result = begin().step()
    assert (result["done"], result["failure"]) == (True, f"{type(error).__name__}: {error}")
    assert "Traceback" in TrialFiles(trials_dir / "0001").log.read_text()


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        ConnectionResetError("lost"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("DataLoader worker (pid 17) is killed by signal: Killed."),
        WorkerCrashedError(),
    ],
)
def test_what_the_machine_says_of_itself_is_left_to_tune_and_to_a_resumed_study(begin, trials_dir, monkeypatch, error):
    def fail(self):
        raise error

    monkeypatch.setattr(Trial, "next_epoch", fail)
    with pytest.raises(type(error)):
        begin().step()
    assert "Traceback" in TrialFiles(trials_dir / "0001").log.read_text()


def test_a_full_disk_is_said_to_be_full(begin, monkeypatch):
    def fail(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Trial, "next_epoch", fail)
    with pytest.raises(NodeError, match=r"^the disk of /.* is full \(No space left on device\): free some space there"):
        begin().step()


def test_a_damaged_ledger_is_not_its_configurations_fault(begin, trials_dir):
    first = begin(epochs=3)
    first.step()
    first.cleanup()
    files = TrialFiles(trials_dir / "0001")
    files.state.write_bytes(files.state.read_bytes()[:-100])
    with pytest.raises(NodeError, match=r"state\.pt is damaged .*delete it, and --resume"):
        begin(epochs=3).step()


def test_every_trial_has_its_own_log(begin, trials_dir):
    trainable = begin(epochs=1)
    trainable.step()
    trainable.reset_config({"number": 2, "params": tiny.params(epochs=1, lr=1e-4)})
    trainable.step()
    logs = [TrialFiles(trials_dir / name).log.read_text() for name in ("0001", "0002")]
    assert [log.count("epoch 1/1: loss") for log in logs] == [1, 1]
    trainable.cleanup()
    assert not [one for one in logging.getLogger("trainables").handlers if isinstance(one, logging.FileHandler)]


def test_a_directory_that_this_node_does_not_see_is_named(begin):
    with pytest.raises(FileNotFoundError, match=r"0003 is not there on .*put --runs-dir on a file system"):
        begin(number=3)
