"""Arrays that stay in memory as far as they fit in, and are mapped from temporary files beyond that."""

from tempfile import TemporaryFile

import numpy as np


class Budget:
    """A number of bytes of memory, given to arrays in the order in which they come."""

    def __init__(self, num_bytes: float = float("inf")) -> None:
        self._left = num_bytes

    def keep(self, array: np.ndarray) -> np.ndarray:
        """Return the array itself while it fits in what is left, else the same array mapped from a file."""
        if array.nbytes > self._left:
            return mapped(array)
        self._left -= array.nbytes
        return array


def mapped(array: np.ndarray) -> np.ndarray:
    """Return the same array, mapped from a file in the directory of temporary files (TMPDIR).

    The file is removed with the array. Raises OSError where the disk is full.
    """
    if not array.size:
        return array
    with TemporaryFile() as file:
        # A full disk raises an error here; in a map it would crash the process.
        file.write(np.ascontiguousarray(array).data.cast("B"))
        file.flush()
        return np.asarray(np.memmap(file, array.dtype, "r+", shape=array.shape))
