"""The status of a study from its own files."""

import time
from collections.abc import Sequence

from search.commands.status.status import PAUSED, StudyStatus, TrialStatus
from search.report.record.study_record import UNFINISHED, TrialRecord, read_study_record
from search.screen.progress import label_of
from search.study.driver import driver_alive
from search.study.planned import planned_trials
from search.study.settings import SCHEDULER_BEFORE
from search.study.study import Study
from trainables.trial.files import TrialFiles


def status_from_ledger(study: Study, vote: float | None = None, gpus: tuple[str, ...] = ()) -> StudyStatus:
    """Return how far the study is; `vote` and `gpus` are what MLflow knows beyond its files (see StudyStatus)."""
    record, alive = read_study_record(study), driver_alive(study.directory)
    planned = len(study.refit["models"]) if study.refit else planned_trials(record.settings, study.directory)
    pauses = record.rungs if record.settings.get("scheduler", SCHEDULER_BEFORE) == "promote" else ()
    return StudyStatus(
        name=study.name,
        now=time.time(),
        total=None if planned is None else max(planned, len(record.trials)),  # fewer may be asked for than there are
        rungs=record.rungs,
        trials=tuple(_trial(trial, study.trial_files(trial.number), pauses, alive) for trial in record.trials),
        vote=record.ensemble.miou if record.ensemble else vote,
        gpus=gpus if alive is not False else (),
        alive=alive,
    )


def _trial(trial: TrialRecord, files: TrialFiles, pauses: Sequence[int], alive: bool | None) -> TrialStatus:
    """Return the status of a trial. One that has come to one of the epochs `pauses`, and trains none, is paused.

    Where it is known that no process runs the study, not `alive`, no trial trains.
    """
    done = len(trial.records)
    running = files.running_epoch.read() if trial.status == UNFINISHED and alive is not False else None
    running = running if running and running.epoch > done else None
    is_paused = trial.status == UNFINISHED and not running and done in pauses and done < trial.epochs
    return TrialStatus(
        number=trial.number,
        label=label_of(trial.params),
        status=PAUSED if is_paused else trial.status,
        epochs=trial.epochs,
        scores=tuple(trial.scores),
        moments=tuple(one["time"] for one in trial.records if "time" in one),
        epoch_s=trial.seconds / done if done else None,
        memory_gb=max((one["peak_memory_gb"] for one in trial.records if "peak_memory_gb" in one), default=None),
        loss=trial.records[-1].get("train/loss") if done else None,
        running=running,
    )
