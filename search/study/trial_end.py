"""The end of a trial, and what is kept of it: its verdict, its holdout predictions and a picture of some of them."""

import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ensembling import Predictions, write_predictions
from ensembling.runs.tags import BEST_EPOCH, CANDIDATE, EPOCHS, STATUS, VERDICT
from ensembling.scores import why_meaningless
from search.report.pictures import holdout_picture
from search.study.study import Study
from search.tracking.tracker import PREDICTIONS
from trainables.data import PackedData
from trainables.data.annotations.masks import IGNORE_INDEX
from trainables.errors import DamagedFileError, UserError
from trainables.files import replacing
from trainables.trial.files import TrialFiles


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. `status` is completed, stopped (by ASHA, at a rung), failed or killed.

    `epochs` is the number of epochs that were trained. `best_epoch` is the epoch whose weights are kept, 0 where there
    is none.

    A resumed study `goes_on` with a trial that was killed, because time ran out or Ctrl-C was pressed, and with one
    that failed because of the machine (a full disk, a lost node): neither has ended.
    """

    status: str
    epochs: int
    best_epoch: int
    reached_last_rung: bool
    failure: str | None = None
    goes_on: bool = False

    @classmethod
    def of(
        cls, study: Study, number: int, *, epochs: int, last_rung: int, failure: str | None, goes_on: bool = False
    ) -> "Outcome":
        """Return the outcome of a trial by the epochs in its files.

        Args:
            study: The study.
            number: The number of the trial.
            epochs: The epochs of a trial that is not stopped.
            last_rung: The epoch from which on a stopped trial may vote.
            failure: Why the trial failed; None where it did not.
            goes_on: Whether a resumed study goes on with the trial.
        """
        records = study.trial_files(number).records()
        done = len(records)
        kept = study.data.kept(records)
        best = kept["epoch"] if kept else 0
        ended = "completed" if done >= epochs else "stopped"
        status = "failed" if failure else "killed" if goes_on else ended
        reached = not failure and done >= min(last_rung, epochs)
        return cls(status, done, best, reached_last_rung=reached, failure=failure, goes_on=goes_on)

    @property
    def mlflow_status(self) -> str:
        return {"failed": "FAILED", "killed": "KILLED"}.get(self.status, "FINISHED")

    @property
    def verdict(self) -> str:
        """Return the outcome in one line of words, for the run's tag."""
        if self.failure:
            return f"failed: {self.failure}"
        if self.status == "stopped":
            return f"stopped at the rung of epoch {self.epochs}"
        return "completed" if self.status == "completed" else f"cut off after epoch {self.epochs}"

    @property
    def tags(self) -> dict[str, str]:
        return {
            VERDICT: self.verdict[:5000],
            CANDIDATE: str(self.reached_last_rung).lower(),
            STATUS: self.status,
            EPOCHS: str(self.epochs),
            BEST_EPOCH: str(self.best_epoch),
        }


def keep_outcome(study: Study, outcome: Outcome, files: TrialFiles) -> dict[Path, str | None]:
    """Write what is kept of a trial that ends or pauses, and return the artifacts for MLflow by path.

    The value of each is its directory in MLflow, None for the top. verdict.json is written last and once, because a
    trial that has one is never trained again. A picture that cannot be drawn is left out, and the trial's log says why.
    """
    if not files.verdict.exists():
        files.keep_epoch(outcome.best_epoch, outcome.epochs)  # the trial's process may have been killed before it did
        if outcome.best_epoch and files.best_maps.exists() and not outcome.failure:
            _write_predictions(study, files)
        if not outcome.goes_on:
            files.write_verdict({"status": outcome.status, "epochs": outcome.epochs, "failure": outcome.failure})
    scored_files = {} if outcome.failure else {files.predictions: PREDICTIONS, files.picture: None}
    found = {**scored_files, files.config: None, files.log: None}
    return {path: directory for path, directory in found.items() if path.exists()}


def _write_predictions(study: Study, files: TrialFiles) -> None:
    packed = study.data.open(files.read_config().size)
    predictions = _read_maps(study, packed, files)
    write_predictions(files.predictions, predictions)
    try:
        picture = holdout_picture(packed, study.data.splits.holdout, predictions, study.data.class_names)
    except Exception:  # the trial has its score and its predictions without it
        with files.log.open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        files.picture.unlink(missing_ok=True)  # of an earlier epoch, where the trial had paused
        return
    with replacing(files.picture) as temporary:
        picture.save(temporary, format="PNG")


def _read_maps(study: Study, packed: PackedData, files: TrialFiles) -> Predictions:
    """Return the holdout's class maps that the trial wrote. Raises DamagedFileError where they are not whole."""
    try:
        pixels = np.load(files.best_maps, mmap_mode="r", allow_pickle=False)
        expected = study.data.holdout_pixels(packed)
        if pixels.dtype != np.uint8 or pixels.shape != (expected,):
            raise ValueError(f"it holds {pixels.dtype} {pixels.shape} instead of uint8 ({expected},)")
        return holdout_predictions(study, packed, pixels)
    except (OSError, ValueError, EOFError) as error:
        raise DamagedFileError(
            f"{files.best_maps} is damaged ({error}): delete {files.best_maps.name}, {files.state.name} and "
            f"{files.epochs.name} in {files.directory}, and --resume trains the trial from its start"
        ) from error


def holdout_predictions(study: Study, packed: PackedData, pixels: np.ndarray) -> Predictions:
    """Return `pixels` uint8, the concatenated class maps (or masks) of the holdout, as predictions."""
    rows = study.data.splits.holdout
    return Predictions(
        image_ids=tuple(packed.file_names[row] for row in rows),
        sizes=tuple(tuple(packed.sizes[row]) for row in rows),
        class_names=study.data.class_names,
        fingerprint=study.holdout_fingerprint,
        pixels=pixels,
        edits=study.holdout_edits,
        groups=study.data.splits.holdout_groups,
    )


def check_holdout(study: Study, packed: PackedData) -> None:
    """Raise UserError where scores against the holdout's masks would be meaningless.

    No more photos are read than it takes to see that they are not: mostly one.
    """
    names, rows = study.data.class_names, study.data.splits.holdout
    labelled, reason = np.zeros(IGNORE_INDEX + 1, np.int64), None
    for row in rows:
        labelled += np.bincount(packed.full_mask(row).reshape(-1), minlength=IGNORE_INDEX + 1)
        reason = why_meaningless(labelled[: len(names)], names)
        if reason is None:
            return
    raise UserError(
        f"the {len(rows)} holdout images of {study.data.root} cannot be scored: {reason}; annotate more of them, or "
        "let others be the holdout (by another --seed or --holdout-fraction, or without a file of validation)"
    )


def holdout_masks(study: Study, packed: PackedData) -> np.ndarray:
    """Return the holdout's masks concatenated, uint8 (pixels,)."""
    return np.concatenate([packed.full_mask(row).reshape(-1) for row in study.data.splits.holdout])


def write_target(study: Study, packed: PackedData, masks: np.ndarray) -> None:
    """Write the holdout's masks in the format of predictions; ignored pixels are 255."""
    write_predictions(study.target_file, holdout_predictions(study, packed, masks))
