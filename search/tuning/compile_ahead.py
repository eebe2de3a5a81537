"""The kernels of the vote are compiled while the search is prepared, so that no trial waits for them."""

from contextlib import suppress
from typing import Any

from search.background import start_process

PROGRAM = "from ensembling import warm_kernels; warm_kernels()"


class KernelsCompiledAhead:
    """A context in which another process compiles the kernels, where they are not kept on disk already.

    Compiling takes about half a minute of one core and holds the interpreter lock: in the search's own process, the
    first trial's end would keep all others waiting for as long. The process has the priority of the search itself,
    since the search waits for it: with a lower one it would not come to its end on a busy machine.
    """

    def __enter__(self) -> "KernelsCompiledAhead":
        self._process = None
        with suppress(OSError):  # where no process can be started, the first vote compiles them
            self._process = start_process(PROGRAM, low_priority=False)
        return self

    def wait(self) -> None:
        """Wait until the kernels can be loaded from disk."""
        if self._process:
            self._process.wait()

    def __exit__(self, *error: Any) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
