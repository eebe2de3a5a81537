"""Loader processes: one set serves trial after trial, gives what no processes give, and is missed when it dies."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from trainables.data.batches.loader import close_kept
from trainables.data.batches.training_batches import TrainingBatches
from trainables.errors import NodeError

ROWS = (2, 3, 4, 5, 6, 7)
SIZE, OTHER_SIZE = (32, 48), (48, 32)
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def no_processes_left() -> Iterator[None]:
    yield
    close_kept()


def batches(study, size=SIZE, **changes) -> TrainingBatches:
    how = {"batch_size": 2, "augmentation": "light", "size": size, "seed": 0, "workers": 2, "pin_memory": False}
    return TrainingBatches(study.open(size), ROWS, **{**how, **changes})


def workers() -> set[int]:
    """The processes that the server which copies itself has started: this process's grandchildren."""
    return {one.pid for child in psutil.Process().children() for one in child.children(recursive=True)}


def assert_same(ours: TrainingBatches, expected: TrainingBatches, epoch: int) -> None:
    for batch, same in zip(ours.epoch(epoch), expected.epoch(epoch), strict=True):
        for one, other in zip(batch, same, strict=True):
            assert torch.equal(one, other)


def test_trials_share_the_processes_and_see_what_they_would_see_without(study):
    seen, handles = [], []
    for trial, policy in enumerate(["light", "flip", "strong", "none", "light", "photometric"]):
        ours = batches(study, augmentation=policy, seed=trial)
        for epoch in range(3):
            assert_same(ours, batches(study, augmentation=policy, seed=trial, workers=0), epoch)
            ours.begin(epoch + 1)
        seen.append(workers())
        handles.append(psutil.Process().num_fds())
    assert len(seen[0]) == 2
    assert all(pids == seen[0] for pids in seen)
    assert max(handles[1:]) <= handles[1] + 8  # batches that are loaded ahead hold some, whatever the number of trials


def test_another_size_gets_processes_of_its_own_and_ends_the_former(study):
    list(batches(study).epoch(0))
    former = workers()
    assert_same(batches(study, OTHER_SIZE), batches(study, OTHER_SIZE, workers=0), 0)
    psutil.wait_procs([psutil.Process(pid) for pid in former if psutil.pid_exists(pid)], timeout=PATIENCE_S)
    assert len(workers()) == 2
    assert not workers() & former


def test_an_epoch_that_was_not_finished_leaves_nothing_to_the_next_one(study):
    ours, expected = batches(study, batch_size=1), batches(study, batch_size=1, workers=0)
    begun = ours.epoch(0)
    next(begun)
    ours.begin(1)
    assert_same(ours, expected, 2)  # epoch 1 was begun, and is not asked for
    assert_same(ours, expected, 1)
    with pytest.raises(RuntimeError, match="asked for others since"):
        next(begun)


def test_a_process_that_is_killed_is_named_and_replaced_for_the_next_trial(study):
    ours = batches(study)
    list(ours.epoch(0))
    (victim, *_) = workers()
    psutil.Process(victim).kill()
    with pytest.raises(NodeError, match=rf"(?s){victim}.*ended from outside.*--resume"):
        list(ours.epoch(1))
    assert_same(batches(study), batches(study, workers=0), 1)
    assert len(workers()) == 2


@pytest.mark.parametrize("ending", ["sys.exit()", "os.kill(os.getpid(), 9)"])
def test_the_processes_end_with_the_one_that_trains(study, tmp_path, ending):
    script = tmp_path / "train.py"
    script.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from trainables.data import open_packed\n"
        "from trainables.data.batches.training_batches import TrainingBatches\n"
        "import psutil\n"
        "if __name__ == '__main__':\n"
        f"    batches = TrainingBatches(open_packed(Path({str(study.open(SIZE).directory)!r})), {ROWS}, batch_size=2,\n"
        f"        augmentation='flip', size={SIZE}, seed=0, workers=2, pin_memory=False)\n"
        "    list(batches.epoch(0))\n"
        "    print(*(one.pid for one in psutil.Process().children(recursive=True)), flush=True)\n"
        f"    {ending}\n"
    )
    root = Path(__file__).parents[4]
    how = {"stdout": subprocess.PIPE, "text": True, "env": {**os.environ, "PYTHONPATH": str(root)}}
    with subprocess.Popen([sys.executable, script], cwd=root, **how) as training:
        pids = [int(pid) for pid in training.stdout.readline().split()]
    assert len(pids) >= 3
    started = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    assert not psutil.wait_procs(started, timeout=PATIENCE_S)[1]
