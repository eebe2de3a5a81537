"""The files of one trial, by name. Nobody else spells them; every write is atomic."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainables.errors import UserError


class TrialFiles:
    """`<study>/trials/<number>/`: the ledger of one trial, enough to go on after any death.

    The worker writes state, weights, maps and one line per epoch; the driver writes what was asked (`suggestion`) and
    how it ended (`verdict`). A state is committed before its epoch's line, so no line speaks of an epoch that is lost.
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
        self.log = self.directory / "log.txt"
        self.lock = self.directory / ".lock"

    def predictions_with(self, what: str) -> Path:
        """Of the holdout, by other views than those that a trial is scored with; `what` names views and weights."""
        return self.directory / f"holdout.{hashlib.sha256(what.encode()).hexdigest()[:12]}.predictions"

    @property
    def number(self) -> int:
        return int(self.directory.name)

    def records(self) -> list[dict[str, Any]]:
        """One dict per finished epoch, in order; a half-written last line is left out."""
        if not self.epochs.exists():
            return []
        records = []
        for line in self.epochs.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return records

    def append_record(self, record: dict[str, Any]) -> None:
        """Rewrites the file with one more line: a line torn by a crash does not stay in front of the new one."""
        lines = [json.dumps(line) for line in [*self.records(), record]]
        write_text(self.epochs, "\n".join(lines) + "\n")

    def forget_training_state(self) -> None:
        """Drops what only a trial that goes on needs: optimizer state is two thirds of a checkpoint's bytes."""
        self.state.unlink(missing_ok=True)
        self.best_maps.unlink(missing_ok=True)
        self.scratch_maps.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`; renames it to `path` if the block succeeds, removes it if not.

    The bytes are on the disk before the name is: a power cut leaves the old file or the new one, never an empty one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1) + "\n")


def read_ledger(path: Path, *, remedy: str) -> Any:
    """`read_json` of what only we write; raises UserError with `remedy` where it is damaged."""
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): {remedy}, and --resume goes on with the others") from error


def read_json(path: Path) -> Any:
    """Raises OSError where `path` cannot be read, ValueError where it is not JSON."""
    return json.loads(path.read_text())
