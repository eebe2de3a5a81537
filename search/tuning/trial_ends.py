"""How a trial is brought to its end: in the study's ledger first, and then in MLflow."""

from pathlib import Path
from typing import Any

from search.study.study import Study
from search.study.trial_end import Outcome, keep_outcome
from search.tracking.tracker import Tracker

Artifacts = dict[Path, str | None]


class TrialEnds:
    """Ends trials that Tune reports, and those that an earlier command left without one of the two records.

    `judge` says how a trial ended, `keep` writes that to the ledger, `log` to MLflow. They are apart since MLflow may
    be away, which must not keep a trial from its verdict.
    """

    def __init__(self, study: Study, tracker: Tracker, last_rung: int) -> None:
        self._study, self._tracker, self._last_rung = study, tracker, last_rung

    def judge(self, number: int, *, epochs: int, failure: str | None = None, goes_on: bool = False) -> Outcome:
        """Return how the trial ended, which was to train `epochs`; a verdict that it has stands."""
        verdict = self._study.trial_files(number).read_verdict()
        if verdict:
            failure, goes_on = verdict["failure"], False
        how = {"epochs": epochs, "last_rung": self._last_rung, "failure": failure, "goes_on": goes_on}
        return Outcome.of(self._study, number, **how)

    def keep(self, number: int, outcome: Outcome) -> Artifacts:
        """Write the outcome to the ledger; return the files for MLflow, with their artifact directories.

        Raises OSError where the disk refuses, and UserError where what the trial wrote is damaged or its data changed:
        without a verdict the trial has not ended, and a resumed study brings it to its end.
        """
        files = self._study.trial_files(number)
        artifacts = keep_outcome(self._study, outcome, files)
        if not outcome.goes_on:
            files.forget_training_state()
        return artifacts

    def log(self, number: int, params: dict[str, Any], outcome: Outcome, artifacts: Artifacts) -> None:
        """Bring the trial's run in MLflow to what the ledger says, from its start to its end."""
        records = self._study.trial_files(number).records()
        if records or not outcome.goes_on:
            self._tracker.start_trial(number, params)
            self._tracker.log_epochs(number, records)
        self._tracker.end_trial(number, outcome.mlflow_status, outcome.tags, artifacts)

    def end(self, number: int, params: dict[str, Any], outcome: Outcome) -> None:
        """Keep and log the outcome of a trial that an earlier command, or this one, left behind."""
        self.log(number, params, outcome, self.keep(number, outcome))
