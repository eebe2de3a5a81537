"""state.pt: whole or as before, and never believed where a byte of it is another."""

import os
import random
import resource
import signal

import pytest
import torch

from trainables.errors import DamagedFileError
from trainables.trial.state import load_state, save_state

STATE = {
    "epoch": 3,
    "model": {"weight": torch.arange(600, dtype=torch.float32).reshape(20, 30)},
    "optimizer": {"state": {0: {"step": torch.tensor(7.0)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
    "ema": None,
    "record": {"epoch": 3, "holdout/miou": 0.25},
}


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


@pytest.fixture
def path(tmp_path):
    save_state(tmp_path / "state.pt", STATE)
    return tmp_path / "state.pt"


def test_a_state_comes_back(path):
    assert same(load_state(path), STATE)


def test_a_flipped_bit_is_found_or_changes_nothing(path):
    content, draw = path.read_bytes(), random.Random(0)
    found = 0
    for _ in range(400):
        place, bit = draw.randrange(len(content)), draw.randrange(8)
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        try:
            assert same(load_state(path), STATE), f"bit {bit} of byte {place}"
        except DamagedFileError as error:
            assert str(error).startswith(f"{path} is damaged (")  # noqa: PT017 - most flips end here, some change nothing
            found += 1
    assert found > 200


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_state_that_was_cut_off_is_named(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DamagedFileError, match=r"state\.pt is damaged .*: delete it, and --resume trains the trial"):
        load_state(path)


def test_a_full_disk_is_an_error_of_the_operating_system(path):
    """The limit on a file's size stands for a disk with as much room."""
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_state(path, STATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["state.pt"]
