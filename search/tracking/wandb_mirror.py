"""Weights & Biases: a mirror of the trials' runs, by the names that MLflow has. The package is an optional extra."""

import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

PROJECT = "segvote"


def open_mirror(study_name: str, study_id: str, directory: Path) -> "WandbMirror":
    """Return the mirror of a study, whose files are in `directory`."""
    import wandb  # an optional package, which takes seconds to import

    directory.mkdir(parents=True, exist_ok=True)
    return WandbMirror(wandb.init, study_name, study_id, directory)


class WandbMirror:
    """The mirror that logs to Weights & Biases what a Tracker logs to MLflow. What fails is in the log alone.

    `init` is wandb's function of that name. A trial is one run, which a resumed study goes on with: its id is made of
    the study's and the trial's number. All is logged by a thread of the mirror's own, in order: a server that does not
    answer keeps no trial waiting.
    """

    def __init__(self, init: Callable[..., Any], study_name: str, study_id: str, directory: Path) -> None:
        self._init, self._study_name, self._study_id, self._directory = init, study_name, study_id, directory
        self._runs: dict[int, Any] = {}
        self._logged: dict[int, int] = {}
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="wandb")

    def start_trial(self, number: int, params: dict[str, Any]) -> None:
        """Open the trial's run, or go on with the one that there is."""
        self._teller.submit(self._quietly, lambda: self._open(number, params))

    def _open(self, number: int, params: dict[str, Any]) -> None:
        if number in self._runs:
            return
        self._runs[number] = self._init(
            project=PROJECT,
            group=self._study_name,
            name=f"{self._study_name}-{number:04d}",
            id=f"{self._study_id[:20]}-{number}",
            resume="allow",
            reinit="create_new",  # several trials train side by side
            config=params,
            dir=str(self._directory),
        )

    def log_epochs(self, number: int, records: list[dict[str, Any]]) -> None:
        """Log the records that the run does not have yet."""
        self._teller.submit(self._log, number, records)

    def _log(self, number: int, records: list[dict[str, Any]]) -> None:
        for record in records:
            if number in self._runs and record["epoch"] > self._logged.get(number, 0):
                self._quietly(lambda record=record: self._runs[number].log(_finite(record), step=record["epoch"]))
                self._logged[number] = record["epoch"]

    def end_trial(self, number: int, tags: dict[str, str], *, failed: bool) -> None:
        """End the trial's run, with the tags that its run in MLflow has as its summary."""
        self._teller.submit(self._end, number, tags, int(failed))

    def _end(self, number: int, tags: dict[str, str], exit_code: int) -> None:
        run = self._runs.pop(number, None)
        if run is not None:
            self._quietly(lambda: run.summary.update(tags))
            self._quietly(lambda: run.finish(exit_code=exit_code))

    def close(self) -> None:
        """Wait until all is logged, and end the runs that are still open: a resumed study goes on with them."""
        self._teller.shutdown()
        for number in list(self._runs):
            self._end(number, {}, 0)

    def _quietly(self, tell: Callable[[], Any]) -> None:
        try:
            tell()
        except Exception as error:  # wandb raises what its many backends raise; a search must not end for its sake
            log.warning("Weights & Biases was not told of a part of the study: %s", error)


def _finite(record: dict[str, Any]) -> dict[str, float]:
    numbers = {key: value for key, value in record.items() if isinstance(value, int | float)}
    return {key: value for key, value in numbers.items() if math.isfinite(value)}
