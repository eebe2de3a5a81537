"""How a study resumes: searcher, scheduler, screen and MLflow are told of all trials that earlier commands trained.

What they are told is in the trials' directories, the study's ledger: the configuration of each, one line an epoch, and
how it ended. Nothing of Ray Tune's own snapshots is read.
"""

from dataclasses import dataclass
from typing import Any

from search.study.study import Study
from search.tuning.callback import StudyCallback
from search.tuning.outcome_recorder import OutcomeRecorder
from search.tuning.schedulers.ladder import Run
from search.tuning.schedulers.scheduler import Scheduler
from search.tuning.searchers.grid_search import GridSearch
from search.tuning.searchers.optuna_search import OptunaSearch
from search.tuning.searchers.suggestion import Suggestion
from trainables.trial.files import TrialFiles, Verdict


@dataclass(frozen=True)
class LedgerTrial:
    """What a trial's directory says of it; a trial without a verdict has not ended."""

    files: TrialFiles
    suggestion: Suggestion
    records: list[dict[str, Any]]
    verdict: Verdict | None


def read_ledger(study: Study, weights_dir: str | None) -> list[LedgerTrial]:
    """Return all trials of the study, in the order of their numbers.

    `weights_dir` is where trials that go on find their pretrained weights; None for the directory that each was given.
    Raises DamagedFileError where a file cannot be read.
    """
    return [
        LedgerTrial(files, Suggestion.load(files).with_weights_from(weights_dir), files.records(), files.read_verdict())
        for files in study.trials()
    ]


def replay_ledger(
    ledger: list[LedgerTrial],
    *,
    searcher: OptunaSearch | GridSearch,
    scheduler: Scheduler,
    callback: StudyCallback,
    recorder: OutcomeRecorder,
) -> int:
    """Tell all parts of a search what the ledger says of its trials, and return how many of these have ended.

    A driver that was killed may have left a trial between two of its records. A trial that the scheduler had stopped
    without a verdict in the ledger is given one, and MLflow is told of an end that it lacks.

    Args:
        ledger: The trials that earlier commands trained.
        searcher: Learns their scores, and hands out again those that have not ended.
        scheduler: Learns their scores at its rungs.
        callback: Shows them on the screen.
        recorder: Says which ends MLflow has, and writes down those that lack a record.
    """
    scored = [trial for trial in ledger if not (trial.verdict and trial.verdict["failure"])]
    stopped = scheduler.replay([Run(one.files.number, one.records, one.verdict is not None) for one in scored])
    ended = 0
    for trial in ledger:
        number, verdict = trial.files.number, trial.verdict
        if verdict is None and number in stopped:
            recorder.end(trial.suggestion)
            verdict = trial.files.read_verdict()
        searcher.replay(trial.suggestion, trial.records, verdict)
        callback.count_seconds(number, trial.records)
        if number in scheduler.paused:
            callback.show_trial(trial.suggestion, trial.records, "paused")
        if verdict is None:
            continue
        ended += 1
        callback.show_trial(trial.suggestion, trial.records, verdict["status"])
        if not recorder.is_logged(trial.suggestion):
            recorder.end(trial.suggestion)
    return ended
