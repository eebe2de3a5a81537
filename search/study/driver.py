"""Which process runs a study, and whether it is still alive: `driver.json` in the study's directory.

The study's lock cannot be asked: who tries it holds it for a moment, and would keep out a search that begins then.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from trainables.files import read_json, write_json

DRIVER = "driver.json"


@dataclass(frozen=True)
class Driver:
    """The process that runs a study, or ran it last.

    `machine` distinguishes boots of machines, and containers on one machine, whose processes have numbers of their own;
    it is empty where the system does not say it. `started` is when the process began, in the system's own unit since
    its boot: a later process may get the same `pid`. `ended` says whether the process left the study by itself.
    """

    machine: str
    pid: int
    started: int
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


@contextmanager
def driving(study: Path) -> Iterator[None]:
    """Return a context in which this process is noted as the one that runs the study in a directory."""
    _, started = _state_and_start(os.getpid())
    driver = asdict(Driver(_machine() if started is not None else "", os.getpid(), started or 0))
    write_json(study / DRIVER, driver)
    try:
        yield
    finally:
        with suppress(OSError):  # the study was moved meanwhile, or its disk is full
            if study.is_dir():
                write_json(study / DRIVER, driver | {"ended": True})


def driver_alive(study: Path) -> bool | None:
    """Return whether a process runs the study in a directory; None where nothing is known of one."""
    match _read(study / DRIVER):
        case {"machine": str(machine), "pid": int(pid), "started": int(started), "ended": bool(ended)}:
            return Driver(machine, pid, started, ended).alive
    return None


def _read(path: Path) -> object:
    with suppress(OSError, ValueError):
        return read_json(path)
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
