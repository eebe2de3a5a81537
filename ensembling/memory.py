"""Arrays that stay in memory as far as they fit in, and are mapped from temporary files beyond that."""

from tempfile import TemporaryFile

import numpy as np


class Budget:
    """So many bytes of memory, which arrays are given in the order in which they come."""

    def __init__(self, num_bytes: float = float("inf")) -> None:
        self._left = num_bytes

    def keep(self, array: np.ndarray) -> np.ndarray:
        """The array itself while there is room, else the same from a file."""
        if array.nbytes > self._left:
            return mapped(array)
        self._left -= array.nbytes
        return array


def mapped(array: np.ndarray) -> np.ndarray:
    """The same, mapped from a file in the directory of temporary files (TMPDIR) that is gone with it.

    Raises OSError where the disk is full.
    """
    if not array.size:
        return array
    with TemporaryFile() as file:
        file.write(np.ascontiguousarray(array).data.cast("B"))  # a full disk is an error here, and a crash in a map
        file.flush()
        return np.asarray(np.memmap(file, array.dtype, "r+", shape=array.shape))
