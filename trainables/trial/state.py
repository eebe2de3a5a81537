"""state.pt: what a trial needs to resume after its last epoch, written whole and checked when it is read."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from trainables.errors import DamagedFileError, one_line
from trainables.files import replacing
from trainables.hardware.out_of_memory import is_out_of_memory


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values. Where the disk is full, raise OSError and leave the old file as it is."""
    with replacing(path) as temporary, _NotingErrors(temporary) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # of a write that failed PyTorch says "unexpected pos"
            raise file.error or error from error


def load_state(path: Path) -> dict[str, Any]:
    """Return what `save_state` wrote, on the CPU; only tensors and plain values are unpickled.

    The file is a zip archive whose parts carry checksums, which PyTorch itself does not verify. Raises DamagedFileError
    where the file is incomplete or a byte of it has changed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
        if wrong is not None:
            raise zipfile.BadZipFile(f"the checksum of its part {wrong} is wrong")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make zipfile and PyTorch raise almost anything
        if is_out_of_memory(error):
            raise
        raise DamagedFileError(
            f"{path} is damaged ({one_line(error)}): delete it, and --resume trains the trial from its start"
        ) from error


class _NotingErrors(io.FileIO):
    """A file to write to that remembers the error of a failed write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "wb")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            view, written = memoryview(data).cast("B"), 0
            while written < len(view):
                written += super().write(view[written:])
            return written
        except OSError as error:
            self.error = error
            raise
