"""StudyCallback: what Ray Tune tells of trials, passed on to the ledger, MLflow and the screen."""

from pathlib import Path
from typing import Any

from ray.tune import Callback

from search.live_vote import LiveVote
from search.outcome import Outcome, keep_outcome
from search.progress import Progress, Screen
from search.study import Study
from search.tracking import Tracker


class StudyCallback(Callback):
    """Runs in the driver, one event at a time. Nothing of it is pickled: a resumed study makes a new one."""

    def __init__(
        self, study: Study, tracker: Tracker, screen: Screen, *, last_rung: int, gpus_per_trial: float
    ) -> None:
        self.study, self.tracker, self.screen = study, tracker, screen
        self.last_rung, self.gpus_per_trial = last_rung, gpus_per_trial
        self.vote = LiveVote(study, last_rung)

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
        best = max((record["holdout/miou"] for record in records), default=-1.0)
        self.progress.start(number, params, epochs_done=len(records), best=best)
        self.tracker.start_trial(number, params)
        self.tracker.log_epochs(number, records)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if result.get("failure"):
            return
        number = trial.config["number"]
        record = self._record(number, result["epoch"])
        self.progress.epoch(number, record)
        # All so far: a report may have been lost with its process. The tracker leaves out what it has.
        self.tracker.log_epochs(number, self.study.trial_files(number).records()[: result["epoch"]])
        self.screen.epoch(number)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        result = trial.last_result or {}
        self._end(trial.config["number"], failure=result.get("failure"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ensure_started(trial)
        self._end(trial.config["number"], failure=_reason(trial))

    def _record(self, number: int, epoch: int) -> dict[str, Any]:
        """The ledger's own line: Tune adds its bookkeeping to a result."""
        return self.study.trial_files(number).records()[epoch - 1]

    def _end(self, number: int, failure: str | None) -> None:
        outcome = Outcome.of(self.study, number, epochs=self.progress.epochs, last_rung=self.last_rung, failure=failure)
        files = self.study.trial_files(number)
        artifacts = keep_outcome(self.study, outcome, files)
        self.tracker.end_trial(number, outcome.mlflow_status, outcome.tags, artifacts)
        self.vote.add(number)
        files.forget_training_state()
        self.progress.end(number, outcome.status)
        self.screen.ended(number, self._note(outcome, files.log))
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
            **self.vote.metrics(),
            "trials_done": progress.ended,
            "trial_hours": hours,
            "gpu_hours": hours * self.gpus_per_trial,
        }


def _reason(trial: Any) -> str:
    """One line: the last of the traceback that ended the trial for good."""
    if not trial.error_file or not Path(trial.error_file).exists():
        return "its process died"
    lines = [line.strip() for line in Path(trial.error_file).read_text().splitlines() if line.strip()]
    return lines[-1] if lines else "its process died"
