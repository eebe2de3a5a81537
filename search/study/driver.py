"""Which process runs a study, and whether it is still alive: `driver.json` in the study's directory.

The study's lock cannot be asked: who tries it holds it for a moment, and would keep out a search that begins then.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from trainables.files import write_json

DRIVER = "driver.json"


@dataclass(frozen=True)
class Driver:
    """The process that runs a study, or ran it last.

    `machine` distinguishes boots of machines, and containers on one machine, whose processes have numbers of their own;
    it is empty where the system does not say it. `started` is when the process began, in the system's own unit since
    its boot: a later process may get the same `pid`. `directory` and `inode` are those of the study's directory at that
    time: one that has neither is a copy. Files of earlier versions lack both. `ended` says whether the process left the
    study by itself.
    """

    machine: str
    pid: int
    started: int
    directory: str | None = None
    inode: int | None = None
    ended: bool = False

    @property
    def alive(self) -> bool | None:
        """Return whether the process still runs the study; None where that cannot be seen, as from another machine."""
        if self.ended:
            return False
        if not self.machine or self.machine != _machine():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):
            pass  # it is another user's
        state, started = _state_and_start(self.pid)
        if started is None:  # processes of other users may be hidden
            return None
        return started == self.started and state not in ("Z", "X")  # Z: it has ended, and its parent has not noticed

    def runs(self, study: Path) -> bool | None:
        """Return whether the process is alive and runs the study in this directory, which may have been renamed; None
        where that cannot be seen.
        """
        place = study.resolve()
        is_copy = self.directory not in (None, str(place)) and self.inode != place.stat().st_ino
        return False if is_copy and self.alive else self.alive


@contextmanager
def driving(study: Path) -> Iterator[None]:
    """Return a context in which this process is noted as the one that runs the study in a directory."""
    _, started = _state_and_start(os.getpid())
    place, machine = study.resolve(), _machine() if started is not None else ""
    driver = asdict(Driver(machine, os.getpid(), started or 0, str(place), place.stat().st_ino))
    write_json(study / DRIVER, driver)
    try:
        yield
    finally:
        with suppress(OSError):  # the study was moved meanwhile, or its disk is full
            if study.is_dir():
                write_json(study / DRIVER, driver | {"ended": True})


def driver_alive(study: Path) -> bool | None:
    """Return whether a process runs the study in a directory; None where nothing is known of one."""
    from pydantic import TypeAdapter  # a tenth of a second of imports

    try:
        return TypeAdapter(Driver).validate_json((study / DRIVER).read_bytes(), strict=True).runs(study)
    except (OSError, ValueError):
        return None


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, int | None]:
    """Return the state of a process as a letter, and when it began; "" and None where the system does not say it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()  # its name may hold blanks
        return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return "", None
