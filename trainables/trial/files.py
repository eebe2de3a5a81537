"""The files of one trial: only this module knows their names, and it checks what it reads."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict

from trainables.config import TrialConfig
from trainables.errors import DamagedFileError, NodeError
from trainables.files import read_checked, write_json, write_text
from trainables.trial.running_epoch import RunningEpochFile


class Suggested(TypedDict):
    """The content of suggestion.json: the configuration, and the values that Optuna drew for it (none in a grid)."""

    params: dict[str, Any]
    sampled: dict[str, Any]


class Verdict(TypedDict):
    """The content of verdict.json: how the trial ended, after how many epochs, and why it failed if it did."""

    status: Literal["completed", "stopped", "failed"]
    epochs: int
    failure: str | None


class TrialFiles:
    """The files in `<study>/trials/<number>/`, which suffice to resume the trial after any process was killed.

    The worker writes the state, weights, class maps and one line per epoch; the driver writes the configuration
    (`suggestion`) and how the trial ended (`verdict`). The state is written before its epoch's line, so that no line
    describes an epoch that is lost. The weights and class maps of an epoch that may become the best one are written
    before its state, under names of their own, and replace those that are kept after its line (`keep_epoch`): what is
    kept belongs to an epoch that has a line, whenever a process is killed. The methods that read raise
    DamagedFileError, which names the file and the remedy, where it is damaged.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self.suggestion = self.directory / "suggestion.json"
        self.config = self.directory / "config.json"
        self.epochs = self.directory / "epochs.jsonl"
        self.verdict = self.directory / "verdict.json"
        self.state = self.directory / "state.pt"
        self.best_weights = self.directory / "best.safetensors"
        self.best_maps = self.directory / "best_maps.npy"
        self.scratch_maps = self.directory / "scratch_maps.npy"
        self.predictions = self.directory / "holdout.predictions"
        self.picture = self.directory / "holdout.png"
        self.running_epoch = RunningEpochFile(self.directory / "running_epoch.json")
        self.log = self.directory / "log.txt"
        self.lock = self.directory / ".lock"

    def maps_of(self, epoch: int) -> Path:
        """Return the file of an epoch's class maps until they are kept or removed."""
        return self.directory / f"epoch_{epoch}_maps.npy"

    def weights_of(self, epoch: int) -> Path:
        """Return the file of an epoch's weights until they are kept or removed."""
        return self.directory / f"epoch_{epoch}_weights.safetensors"

    def keep_epoch(self, kept: int, recorded: int) -> None:
        """Keep the weights and class maps of the epoch `kept`, where they are not kept yet, rather than those before.

        Those of the other epochs up to `recorded`, the number of epochs that have lines, are removed. Those of a later
        epoch stay: it has not ended, or its process was killed before its line. Two processes may do this at once.
        """
        for epoch_file, best in ((self.maps_of, self.best_maps), (self.weights_of, self.best_weights)):
            with suppress(FileNotFoundError):
                os.replace(epoch_file(kept), best)
            for epoch in range(1, recorded + 1):
                epoch_file(epoch).unlink(missing_ok=True)

    def forget_epochs(self) -> None:
        """Remove all that the epochs left, because they are trained again."""
        for path in (self.best_maps, self.best_weights, self.predictions, self.picture, self.epochs):
            path.unlink(missing_ok=True)
        self._remove_epoch_files()

    def _remove_epoch_files(self) -> None:
        for path in (*self.directory.glob("epoch_*_maps.npy"), *self.directory.glob("epoch_*_weights.safetensors")):
            path.unlink(missing_ok=True)

    def predictions_with(self, what: str) -> Path:
        """Return the file of holdout predictions by other views than a trial is scored with.

        `what` names the views and the weights.
        """
        return self.directory / f"holdout.{hashlib.sha256(what.encode()).hexdigest()[:12]}.predictions"

    @property
    def number(self) -> int:
        return int(self.directory.name)

    def check_there(self) -> None:
        """Raise NodeError where the directory is gone, before a writer would make it again: the study was moved."""
        if not self.directory.is_dir():
            raise NodeError(
                f"{self.directory} is gone: its study was moved or deleted while the trial was training; go on with "
                "the study where it is now, with --resume"
            )

    def read_suggestion(self) -> Suggested:
        """Return the configuration that the trial was given."""
        remedy = f"delete {self.directory} and resume the study without this trial"
        return read_checked(self.suggestion, Suggested, remedy=remedy)

    def read_config(self) -> TrialConfig:
        """Return the configuration that was trained, with every default."""
        remedy = f"delete {self.directory} and resume the study without this trial"
        return TrialConfig.from_dict(read_checked(self.config, dict[str, Any], remedy=remedy))

    def read_verdict(self) -> Verdict | None:
        """Return how the trial ended; None where it has not ended."""
        if not self.verdict.exists():
            return None
        return read_checked(self.verdict, Verdict, remedy="delete it, and --resume brings the trial to its end again")

    def records(self) -> list[dict[str, Any]]:
        """Return one dict for each finished epoch, in order; an incomplete last line is left out.

        Raises DamagedFileError for any other line that cannot be read, and where epochs are missing or repeated.
        """
        if not self.epochs.exists():
            return []
        lines = self.epochs.read_bytes().splitlines()
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                if number == len(lines):
                    break
                raise self._damaged(f"line {number}: {error}") from error
            if not isinstance(record, dict) or record.get("epoch") != number:
                raise self._damaged(f"line {number} is not the record of epoch {number}")
            records.append(record)
        return records

    def _damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(
            f"{self.epochs} is damaged ({what}): restore it from a backup, or delete {self.epochs.name}, "
            f"{self.state.name} and {self.verdict.name} in {self.directory}, and --resume trains the trial anew"
        )

    def append_record(self, record: dict[str, Any]) -> None:
        """Rewrite the file with one more line, so that a line that a crash left incomplete does not remain."""
        lines = [json.dumps(line) for line in [*self.records(), record]]
        write_text(self.epochs, "\n".join(lines) + "\n")

    def write_verdict(self, verdict: Verdict) -> None:
        """Write how the trial ended: a trial that has a verdict is never trained again."""
        write_json(self.verdict, verdict)

    def forget_training_state(self) -> None:
        """Remove the files that only an unfinished trial needs.

        The optimizer's state makes up two thirds of a checkpoint.
        """
        self.state.unlink(missing_ok=True)
        self.running_epoch.path.unlink(missing_ok=True)
        self.best_maps.unlink(missing_ok=True)
        self.scratch_maps.unlink(missing_ok=True)
        self._remove_epoch_files()
