"""StudyCallback: what Ray Tune tells of trials, passed on to the ledger, MLflow and the screen, without waiting."""

import time
from collections import deque
from collections.abc import Callable, Collection, Container
from pathlib import Path
from typing import Any

from ray.tune import Callback

from search.background import BackgroundThread
from search.screen.gpus import Gpu
from search.screen.progress import Progress
from search.screen.screen import Screen
from search.study.study import Study
from search.study.trial_end import Outcome
from search.tracking.background_tracker import BackgroundTracker
from search.tracking.store import why_no_answer
from search.tracking.tracker import Tracker
from search.tuning.live_vote import LiveVote
from search.tuning.outcome_recorder import OutcomeRecorder
from search.tuning.searchers.suggestion import Suggestion
from search.tuning.why_broken import why_broken
from trainables.errors import UserError, one_line
from trainables.hardware.full_disk import describe_full_disk
from trainables.trial.files import TrialFiles
from trainables.trial.running_epoch import RunningEpoch

# After so many trials in a row have failed before their first epoch, no other is suggested: a node that lacks something
# would use up all suggestions.
FRUITLESS = 3
WAIT_IS_SAID_S = 10.0  # after the last trial's end
LEDGER_WAIT_S = 10  # that the driver waits for a line that a worker on another node has written


class StudyCallback(Callback):
    """Runs in the driver, one event at a time. Nothing of it is pickled: a resumed study makes a new one.

    Tune's loop hands out the next epoch once these methods return, so they leave to two threads all that takes time:
    one brings the trials' ends to the ledger, in their order, and another tells MLflow of them and takes the vote so
    far. Neither the scheduler nor the sampler waits for them. `finish` waits. What is not done when the process dies, a
    resumed study makes up for: a trial without a verdict in the ledger is brought to its end again.

    What MLflow or a full disk refuses ends neither a trial nor the study (Tune would take an exception here for one of
    the trial).
    """

    def __init__(
        self,
        study: Study,
        tracker: Tracker,
        screen: Screen,
        *,
        recorder: OutcomeRecorder,
        vote: LiveVote,
        gpus_per_trial: float,
        stop_suggesting: Callable[[], None],
        paused: Container[int] = (),
    ) -> None:
        """Args:
        study: The study.
        tracker: The writer of its runs in MLflow.
        screen: Shows the trials.
        recorder: Writes down how trials end.
        vote: The vote of the trials that have ended.
        gpus_per_trial: The GPUs of each trial, for the GPU-hours.
        stop_suggesting: A function that is called when no further trial is to begin.
        paused: The numbers of the trials that are paused at the moment, as the scheduler has them.
        """
        self.study, self.screen = study, screen
        self._stop_suggesting, self._paused = stop_suggesting, paused
        self._recorder, self.gpus_per_trial = recorder, gpus_per_trial
        self._mlflow = BackgroundTracker(tracker, screen.warn)
        self._ledger = BackgroundThread("ledger", lambda error: screen.warn(f"a trial's end: {one_line(error)}"))
        self.broken: dict[int, str] = {}
        """Why trials failed that a resumed study goes on with, by number."""
        self.begun: set[int] = set()
        """Trials that this command has begun, or tried to."""
        self._trained: set[int] = set()  # trials of which this command has seen an epoch
        self._fruitless = 0  # how many trials in a row failed before their first epoch
        self._seconds: dict[int, float] = {}  # how long each trial's epochs took together
        self._tracker, self._vote = tracker, vote
        self._to_vote: deque[int] = deque()  # trials that have ended and that the vote so far does not know of

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles callbacks into its own snapshots, which are never read

    @property
    def progress(self) -> Progress:
        return self.screen.progress

    @property
    def behind(self) -> set[int]:
        """Return the numbers of the trials of which MLflow lacks a part."""
        return self._mlflow.behind

    def tell_running(self, epochs: dict[int, RunningEpoch], gpus: list[Gpu]) -> None:
        """Hand on to MLflow how far the epochs in progress are, by trial number, and what the GPUs do."""
        self._mlflow.running(epochs, gpus)

    def count_seconds(self, number: int, records: list[dict[str, Any]]) -> None:
        """Count the time of all the trial's epochs so far: it is not read again from the ledger."""
        self._seconds[number] = sum(record.get("epoch_s", 0.0) for record in records)

    def show_trial(self, suggestion: Suggestion, records: list[dict[str, Any]], status: str) -> None:
        """Show a trial on the screen that an earlier command trained, and that has ended or is paused."""
        best = self.study.data.kept_score(records)
        self.progress.start(suggestion.number, suggestion.params, len(records), best)
        self.progress.end(suggestion.number, status)

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until the ledger and MLflow have all that was told, and return True; False after `timeout` seconds.

        What is not begun by then is left to a resumed study. A wait without `timeout` that takes long is said.
        """
        if timeout is None and not (self._ledger.wait(WAIT_IS_SAID_S) and self._mlflow.wait(WAIT_IS_SAID_S)):
            self.screen.warn(
                "Nothing is left to train; waiting until the last trials' files are written and MLflow has all that "
                "was logged. Ctrl-C ends the wait, and the same command with --resume does the rest"
            )
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._ledger.finish(timeout):
            self._mlflow.give_up()
            return False
        return self._mlflow.finish(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def make_up_for_study(self) -> None:
        """Log the study's metrics where MLflow lacks those of the last trial's end, because it did not answer then.

        Only to be called when nothing is left to log in the background. What MLflow refuses now is said.
        """
        if self._tracker.trials_told == self.progress.ended:
            return
        try:
            self._tracker.log_study(self._study_metrics() | self._vote_metrics(None))
        except Exception as error:  # MLflow raises what its many stores raise
            self.screen.warn(f"MLflow lacks the study's figures after its last trial ({why_no_answer(error)})")

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ensure_started(trial)

    def _ensure_started(self, trial: Any) -> None:
        """Note that a trial begins; also one that fails before Tune calls it started, as its process never came up."""
        number, params = trial.config["number"], trial.config["params"]
        if number in self.progress.trials and self.progress.trials[number].status == "running":
            return  # a retry after its process died
        records = self._records(number)
        best = self.study.data.kept_score(records)
        self.begun.add(number)
        self.progress.start(number, params, epochs_done=len(records), best=best)
        self._mlflow.begin(number, params, records)

    def _records(self, number: int) -> list[dict[str, Any]]:
        """Return the records of the trial's epochs.

        Return an empty list, with a warning, where its ledger is damaged: that must not end the other trials.
        """
        try:
            return self.study.trial_files(number).records()
        except (OSError, UserError) as error:
            self.screen.warn(f"trial {number}: {one_line(error)}")
            return []

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if result.get("failure"):
            return
        number, record = trial.config["number"], result["record"]
        if number not in self._trained:
            self._trained.add(number)
            self._fruitless = 0
        # MLflow is told of all epochs so far, because a report may have been lost with its process.
        records = [*self._records(number)[: record["epoch"] - 1], record]
        self.progress.epoch(number, record, self.study.data.kept_score(records))
        self.count_seconds(number, records)
        self._mlflow.epochs(number, records)
        self.screen.epoch(number)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        number, failure = trial.config["number"], (trial.last_result or {}).get("failure")
        self._fruitless = 0  # also where its configuration failed: its node trains
        if number in self._paused and not failure:
            self.progress.end(number, "paused")
            self._mlflow.pause(number)
        else:
            self._hand_end(number, failure)

    def end_paused(self, numbers: Collection[int]) -> None:
        """Write down that paused trials have ended: there is nobody left that could be promoted."""
        for number in sorted(numbers):
            self._hand_end(number, None)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say that a trial whose process died is started again: Ray speaks of processes and not of trials."""
        self._ensure_started(trial)
        number = trial.config["number"]
        done = len(self._records(number))
        place = f"after epoch {done}" if done else "from its start"
        self.screen.warn(f"trial {number}: {why_broken(trial)}; it is trained again {place}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ensure_started(trial)
        number, reason = trial.config["number"], why_broken(trial)
        self.broken[number] = reason
        self._hand_end(number, reason, goes_on=True)
        self._fruitless = 0 if number in self._trained else self._fruitless + 1
        if self._fruitless == FRUITLESS:
            self._stop_suggesting()
            self.screen.warn(
                f"{FRUITLESS} trials in a row failed before their first epoch: no other is suggested, and those that "
                "were go on to their end"
            )

    def _hand_end(self, number: int, failure: str | None, *, goes_on: bool = False) -> None:
        self._ledger.hand(lambda: self._end(number, failure, goes_on=goes_on))

    def _end(self, number: int, failure: str | None, *, goes_on: bool) -> None:
        """Write the trial's end to the ledger, and hand it on to MLflow."""
        trial, files = self.progress.trials[number], self.study.trial_files(number)
        try:
            _wait_for_records(files, trial.epoch)
            outcome = self._recorder.judge(number, trial.params, failure=failure, goes_on=goes_on)
            self.progress.end(number, outcome.status)
            self.screen.ended(number, self._note(outcome, files.log))
            artifacts = self._recorder.keep(number, outcome)
        except (OSError, UserError) as error:
            # Without a verdict it has not ended: a resumed study brings it to its end.
            reason = describe_full_disk(error, [self.study.directory]) or one_line(error)
            self.screen.warn(f"trial {number}: its outcome could not be written ({reason})")
            return
        if files.predictions in artifacts and files.picture not in artifacts:
            self.screen.warn(f"trial {number}: its picture could not be drawn; {files.log} says why")
        self._to_vote.append(number)
        metrics = self._study_metrics()
        self._mlflow.end(
            number,
            lambda: self._recorder.log(number, trial.params, outcome, artifacts),
            lambda: metrics | self._vote_metrics(number),
        )

    def _note(self, outcome: Outcome, log: Path) -> str:
        return f"{outcome.failure} (log: {log})" if outcome.failure else ""

    def _study_metrics(self) -> dict[str, float]:
        progress = self.progress
        metrics = {f"trials_{status}": progress.count(status) for status in ("completed", "stopped", "failed")}
        hours = sum(self._seconds.values()) / 3600
        leader = progress.best
        return {
            **metrics,
            **({"best_miou": leader.best} if leader else {}),
            "trials_done": progress.ended,
            "trials_total": progress.total,
            "trial_hours": hours,
            "gpu_hours": hours * self.gpus_per_trial,
        }

    def _vote_metrics(self, last: int | None) -> dict[str, float]:
        """Return what a vote of the trials up to the end of trial `last` would score; of all where it is None.

        Trials whose end MLflow could not be told of are among them.
        Return an empty dict, with a warning, where the vote cannot be taken.
        """
        try:
            numbers: list[int] = []
            while self._to_vote and last not in numbers:
                numbers.append(self._to_vote.popleft())
            found = self._vote.metrics_after(*numbers)
            self.progress.vote = found.get("vote_miou", self.progress.vote)
            return found
        except Exception as error:  # a figure on the way is no reason to keep back all others
            self.screen.warn(f"the vote of the trials so far could not be scored ({one_line(error)})")
            return {}


def _wait_for_records(files: TrialFiles, epochs: int) -> None:
    """Wait for the ledger's last line: a file system that nodes share may show it to the driver a little later."""
    deadline = time.monotonic() + LEDGER_WAIT_S
    while len(files.records()) < epochs and time.monotonic() < deadline:
        time.sleep(0.2)
