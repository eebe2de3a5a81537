"""Ray imports this module in each worker process that it starts, so that a trial finds PyTorch and timm imported.

Ray starts as many processes as there are cores, of which a trial's process takes as much memory as a few others. Only
so many of them import ahead as trials run side by side.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

MODULE = __name__
DIRECTORY = "SEGVOTE_IMPORTS_AHEAD"  # an environment variable, set by `import_ahead`
TICKET = "trial-process-"


def import_ahead(processes: int, directory: Path) -> dict[str, str]:
    """Return the environment of Ray in which the first `processes` of its workers import what a trial needs.

    They agree on which of them do by files in `directory`, which must be empty.
    """
    for number in range(processes):
        (directory / f"{TICKET}{number}").touch()
    return {"RAY_preload_python_modules": MODULE, DIRECTORY: str(directory)}


def take_ticket() -> bool:
    """Return whether this process is one of those that import ahead; each of them takes one of the files."""
    directory = os.environ.get(DIRECTORY)
    for ticket in Path(directory).glob(f"{TICKET}*") if directory else ():
        with suppress(OSError):  # another process has taken it
            ticket.unlink()
            return True
    return False


if take_ticket():
    # timm imports Weights & Biases where it is installed, which takes a tenth of all; only the driver writes to it.
    sys.modules.setdefault("wandb", None)
    from trainables.ray_trainable import SegmentationTrainable  # noqa: F401
    from trainables.trial.trial import Trial  # noqa: F401
