"""The status of a study from its own files."""

import time

from search.report.progress import label_of
from search.report.record.study_record import StudyRecord, TrialRecord, read_study_record
from search.status.status import StudyStatus, TrialStatus
from search.study.planned import planned_trials
from search.study.study import Study


def status_from_ledger(study: Study, vote: float | None = None) -> StudyStatus:
    """Return how far the study is; `vote` is what its vote scores so far, where somebody knows."""
    record = read_study_record(study)
    return StudyStatus(
        name=study.name,
        now=time.time(),
        total=len(study.refit["models"]) if study.refit else planned_trials(record.settings, study.directory),
        rungs=record.rungs,
        trials=tuple(_trial(trial, record) for trial in record.trials),
        vote=record.ensemble["miou"] if record.ensemble else vote,
    )


def _trial(trial: TrialRecord, record: StudyRecord) -> TrialStatus:
    done = len(trial.records)
    return TrialStatus(
        number=trial.number,
        label=label_of(trial.params),
        status=trial.status,
        epochs=trial.epochs,
        scores=tuple(trial.scores),
        moments=tuple(one["time"] for one in trial.records if "time" in one),
        epoch_s=trial.seconds / done if done else None,
        memory_gb=max((one["peak_memory_gb"] for one in trial.records if "peak_memory_gb" in one), default=None),
    )
