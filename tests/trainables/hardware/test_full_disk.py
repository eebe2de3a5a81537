"""Disks that are full: said as such, and room that is taken before a file is mapped."""

import errno

import numpy as np
import pytest

from trainables.hardware.full_disk import describe_full_disk, take_room


def test_a_sparse_file_has_its_room_afterwards(tmp_path):
    path = tmp_path / "maps.npy"
    maps = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(1 << 20,))
    sparse = path.stat().st_blocks
    take_room(path)
    assert 512 * path.stat().st_blocks >= path.stat().st_size > 512 * sparse
    assert maps.any() == 0  # its content is as before


def test_a_full_disk_is_named(tmp_path):
    error = OSError(errno.ENOSPC, "No space left on device")
    said = f"the disk of {tmp_path} is full (No space left on device): free some space there"
    assert describe_full_disk(error, [tmp_path, tmp_path / "gone"]) == said
    of_a_file = OSError(errno.ENOSPC, "No space left on device", "/elsewhere/state.pt")
    assert describe_full_disk(of_a_file, [tmp_path]).startswith("the disk of /elsewhere/state.pt is full")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), RuntimeError("No space left on device")])
def test_no_other_error_is_taken_for_one(error, tmp_path):
    assert describe_full_disk(error, [tmp_path]) is None
