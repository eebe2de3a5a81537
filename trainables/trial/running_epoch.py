"""How far the epoch in progress of a trial is: its process writes it, and whoever shows the study reads it."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, SupportsFloat

from trainables.files import replacing

WRITE_EVERY_S = 2.0  # reading the loss waits for the GPU, and writing may wait for a file system over the network


@dataclass(frozen=True)
class RunningEpoch:
    """The state of an epoch that has not ended.

    `epoch` counts from 1. Of the epoch's `steps` optimizer steps, `step` are done; when all are, the trial is being
    scored. `loss` is the mean training loss of the steps so far, None before the first. `elapsed_s` are the seconds
    since the epoch began, and `time` is when this was written, in seconds since 1970.
    """

    epoch: int
    step: int
    steps: int
    loss: float | None
    elapsed_s: float
    time: float

    @property
    def share(self) -> float:
        """Return the share of the epoch's steps that are done."""
        return self.step / max(1, self.steps)

    @property
    def expected_s(self) -> float | None:
        """Return how long all steps of the epoch take at the pace of those so far; None before the first step."""
        return self.elapsed_s / self.share if self.step else None


class RunningEpochFile:
    """The file that holds a trial's RunningEpoch. It is for show: what cannot be written or read is left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._epoch, self._began, self._written = 0, 0.0, float("-inf")

    def begin(self, epoch: int) -> None:
        """Say that the epoch with this number, counted from 1, begins now."""
        self._epoch, self._began = epoch, time.monotonic()

    def step(self, step: int, steps: int, total_loss: SupportsFloat) -> None:
        """Say that `step` of `steps` are done, whose losses add up to `total_loss`.

        The loss is read, and the file is written, every WRITE_EVERY_S at most, and when the last step of a longer epoch
        is done, because scoring may take long.
        """
        now = time.monotonic()
        last = step == steps and now - self._began > WRITE_EVERY_S
        if now - self._written < WRITE_EVERY_S and not last:
            return
        self._written = now
        loss = float(total_loss) / step if step else None
        state = RunningEpoch(self._epoch, step, steps, loss, now - self._began, time.time())
        if not self.path.parent.is_dir():  # the study was moved meanwhile: nothing is to appear where it was
            return
        with suppress(OSError), replacing(self.path, sync=False) as temporary:
            temporary.write_text(json.dumps(asdict(state)))

    def read(self) -> RunningEpoch | None:
        """Return what was written last; None where there is none, or it cannot be read."""
        with suppress(OSError, ValueError):
            return _checked(RunningEpoch, self.path.read_bytes())
        return None


def epochs_to_json(epochs: dict[int, RunningEpoch]) -> str:
    """Return the epochs in progress of several trials, by their numbers, as text."""
    return json.dumps({number: asdict(epoch) for number, epoch in epochs.items()})


def epochs_from_json(text: str) -> dict[int, RunningEpoch]:
    """Return what `epochs_to_json` made text of; {} of any other text."""
    with suppress(ValueError):
        return _checked(dict[int, RunningEpoch], text)
    return {}


def _checked(shape: Any, text: str | bytes) -> Any:
    from pydantic import TypeAdapter  # a tenth of a second of imports

    return TypeAdapter(shape).validate_json(text)
