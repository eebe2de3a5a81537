"""StudyCallback: what Ray Tune tells of trials, passed on to the ledger, MLflow and the screen."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback

from search.report.progress import Progress, Screen
from search.study.study import Study
from search.study.trial_end import Outcome, keep_outcome
from search.tracking.tracker import Tracker
from search.tuning.live_vote import LiveVote
from trainables.errors import UserError
from trainables.trial.files import TrialFiles

PAUSE_S = 60  # after MLflow did not answer: each call would keep the trials waiting for its time-out
# Trials that break in a row, before their first epoch, until no other is suggested: a node that lacks something would
# use up all suggestions.
FRUITLESS = 3
LEDGER_WAIT_S = 10  # for a line that a worker on another node has written


class StudyCallback(Callback):
    """Runs in the driver, one event at a time. Nothing of it is pickled: a resumed study makes a new one.

    What MLflow or a full disk refuses ends neither a trial nor the study (Tune would take an exception here for one of
    the trial): the trial's number goes to `behind`, and is made up for at its next event or at the study's end.
    """

    def __init__(
        self,
        study: Study,
        tracker: Tracker,
        screen: Screen,
        *,
        last_rung: int,
        vote: LiveVote,
        gpus_per_trial: float,
        stop_suggesting: Callable[[], None],
    ) -> None:
        self.study, self.tracker, self.screen = study, tracker, screen
        self._stop_suggesting = stop_suggesting
        self.last_rung, self.gpus_per_trial = last_rung, gpus_per_trial
        self.behind: set[int] = set()
        self.broken: dict[int, str] = {}
        """Why trials failed that a resumed study goes on with, by number."""
        self.begun: set[int] = set()
        """Trials that this command has begun, or tried to."""
        self._trained: set[int] = set()  # trials of which this command has seen an epoch
        self._fruitless = 0  # trials in a row that broke before that
        self._silent_until = 0.0
        self._vote = vote

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles callbacks into its own snapshots, which are never read

    @property
    def progress(self) -> Progress:
        return self.screen.progress

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ensure_started(trial)

    def _ensure_started(self, trial: Any) -> None:
        """Also for a trial that fails before Tune calls it started: its process never came up."""
        number, params = trial.config["number"], trial.config["params"]
        if number in self.progress.trials and self.progress.trials[number].status == "running":
            return  # a retry after its process died
        records = self.study.trial_files(number).records()
        best = self.study.data.kept_score(records)
        self.begun.add(number)
        self.progress.start(number, params, epochs_done=len(records), best=best)
        self.behind.add(number)
        self._try(number, lambda: self._track(number, records))

    def _track(self, number: int, records: list[dict[str, Any]]) -> None:
        """Brings the trial's run up to `records`; the tracker leaves out what it has."""
        if number in self.behind:
            self.tracker.start_trial(number, self.progress.trials[number].params)
        self.tracker.log_epochs(number, records)
        self.behind.discard(number)

    def _try(self, number: int, tell: Callable[[], None]) -> None:
        """Calls `tell`, which tells MLflow of the trial; where it fails, the trial is behind."""
        if time.monotonic() < self._silent_until:
            self.behind.add(number)
            return
        try:
            tell()
        except Exception as error:  # MLflow raises what its many stores raise
            self.behind.add(number)
            self._silent_until = time.monotonic() + PAUSE_S
            self.screen.warn(f"trial {number}: MLflow lacks a part of it, made up for later ({_one_line(error)})")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if result.get("failure"):
            return
        number, record = trial.config["number"], result["record"]
        if number not in self._trained:
            self._trained.add(number)
            self._fruitless = 0
        # All so far: a report may have been lost with its process.
        records = [*self.study.trial_files(number).records()[: record["epoch"] - 1], record]
        self.progress.epoch(number, record, self.study.data.kept_score(records))
        self._try(number, lambda: self._track(number, records))
        self.screen.epoch(number)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        result = trial.last_result or {}
        self._fruitless = 0  # also where its configuration failed: its node trains
        self._end(trial.config["number"], result.get("failure"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ensure_started(trial)
        number, reason = trial.config["number"], _reason(trial)
        self.broken[number] = reason
        self._end(number, reason, goes_on=True)
        self._fruitless = 0 if number in self._trained else self._fruitless + 1
        if self._fruitless == FRUITLESS:
            self._stop_suggesting()
            self.screen.warn(
                f"{FRUITLESS} trials in a row failed before their first epoch: no other is suggested, and those that "
                "were go on to their end"
            )

    def _end(self, number: int, failure: str | None, *, goes_on: bool = False) -> None:
        files = self.study.trial_files(number)
        trial = self.progress.trials[number]
        _wait_for_records(files, trial.epoch)
        how = {"epochs": trial.epochs, "last_rung": self.last_rung, "goes_on": goes_on}
        outcome = Outcome.of(self.study, number, failure=failure, **how)
        self.progress.end(number, outcome.status)
        self.screen.ended(number, self._note(outcome, files.log))
        try:
            artifacts = keep_outcome(self.study, outcome, files)
        except (OSError, UserError) as error:
            # Without a verdict it has not ended: a resumed study brings it to its end.
            self.screen.warn(f"trial {number}: its outcome could not be written ({_one_line(error)})")
            return
        self._try(number, lambda: self._track_end(number, outcome, artifacts))
        if not goes_on:
            files.forget_training_state()

    def _track_end(self, number: int, outcome: Outcome, artifacts: dict[Path, str | None]) -> None:
        self._track(number, self.study.trial_files(number).records())
        self.tracker.end_trial(number, outcome.mlflow_status, outcome.tags, artifacts)
        self.tracker.log_study(self._study_metrics())

    def _note(self, outcome: Outcome, log: Path) -> str:
        return f"{outcome.failure} (log: {log})" if outcome.failure else ""

    def _study_metrics(self) -> dict[str, float]:
        progress = self.progress
        metrics = {f"trials_{status}": progress.count(status) for status in ("completed", "stopped", "failed")}
        seconds = sum(record["epoch_s"] for files in self.study.trials() for record in files.records())
        hours = seconds / 3600
        best = {"best_miou": progress.best.best} if progress.best else {}
        return {
            **metrics,
            **best,
            **self._vote.metrics(),
            "trials_done": progress.ended,
            "trial_hours": hours,
            "gpu_hours": hours * self.gpus_per_trial,
        }


def _wait_for_records(files: TrialFiles, epochs: int) -> None:
    """The file system that the nodes share may show the driver the last line a little later than it was written."""
    deadline = time.monotonic() + LEDGER_WAIT_S
    while len(files.records()) < epochs and time.monotonic() < deadline:
        time.sleep(0.2)


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _reason(trial: Any) -> str:
    """One line: the last of the traceback that ended the trial for good."""
    if not trial.error_file or not Path(trial.error_file).exists():
        return "its process died"
    lines = [line.strip() for line in Path(trial.error_file).read_text().splitlines() if line.strip()]
    return lines[-1] if lines else "its process died"
