"""OutcomeRecorder: writes down how a trial ended, in the study's ledger first and then in MLflow."""

from pathlib import Path
from typing import Any

from ensembling.runs.tags import VERDICT
from search.study.study import Study
from search.study.trial_end import Outcome, keep_outcome
from search.tracking.tracker import Tracker
from search.tuning.searchers.suggestion import Suggestion

Artifacts = dict[Path, str | None]


class OutcomeRecorder:
    """Writes down the ends that Ray Tune reports, and those that an earlier command left without one of the records.

    `judge` says how a trial ended, `keep` writes that to the ledger, `log` to MLflow. They are apart since MLflow may
    be away, which must not keep a trial from its verdict. `end` does all three.
    """

    def __init__(self, study: Study, tracker: Tracker, *, epochs: int, last_rung: int) -> None:
        """Args:
        study: The study.
        tracker: The writer of its runs in MLflow.
        epochs: The epochs of a trial whose configuration does not say them.
        last_rung: The epoch from which on a stopped trial may vote.
        """
        self._study, self._tracker = study, tracker
        self._epochs, self._last_rung = epochs, last_rung

    def judge(
        self, number: int, params: dict[str, Any], *, failure: str | None = None, goes_on: bool = False
    ) -> Outcome:
        """Return how a trial ended; a verdict that it has stands.

        Args:
            number: The number of the trial.
            params: Its configuration.
            failure: Why it failed; None where it did not.
            goes_on: Whether a resumed study goes on with it.
        """
        verdict = self._study.trial_files(number).read_verdict()
        if verdict:
            failure, goes_on = verdict["failure"], False
        epochs = params.get("epochs", self._epochs)
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
        """Bring the trial's run in MLflow to what the ledger says, from its start to its end.

        Args:
            number: The number of the trial.
            params: Its configuration.
            outcome: How it ended.
            artifacts: The directory of each file among the artifacts; None for the top.
        """
        records = self._study.trial_files(number).records()
        if records or not outcome.goes_on:
            self._tracker.start_trial(number, params)
            self._tracker.log_epochs(number, records)
        self._tracker.end_trial(number, outcome.mlflow_status, outcome.tags, artifacts)

    def is_logged(self, suggestion: Suggestion) -> bool:
        """Return whether MLflow had the end of a trial that has a verdict when this command began."""
        return self._tracker.has_ended(
            suggestion.number, self.judge(suggestion.number, suggestion.params).tags[VERDICT]
        )

    def end(self, suggestion: Suggestion, *, failure: str | None = None, goes_on: bool = False) -> None:
        """Write down the end of a trial that an earlier command, or this one, left behind; a verdict of it stands."""
        number, params = suggestion.number, suggestion.params
        outcome = self.judge(number, params, failure=failure, goes_on=goes_on)
        self.log(number, params, outcome, self.keep(number, outcome))
