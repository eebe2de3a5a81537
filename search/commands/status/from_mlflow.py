"""The status of a study from MLflow alone: of one that runs elsewhere, whose files are not here."""

import time
from contextlib import suppress
from typing import Any

from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ensembling.runs.tags import GPUS, KIND, RUNNING, STATUS, STUDY, TRIAL
from search.commands.status.status import ENDED, PAUSED, StudyStatus, TrialStatus
from search.report.record.study_record import UNFINISHED
from search.screen.progress import label_of
from search.tracking.study_run import find_study_run
from trainables.errors import UserError, nearest
from trainables.trial.running_epoch import RunningEpoch, epochs_from_json

MAX_RUNS = 50000  # what MLflow returns at most


def status_from_mlflow(client: MlflowClient, experiment_id: str, name: str) -> StudyStatus:
    """Return how far the newest study of that name is. Raises UserError, with the names there are, where none is."""
    parent = find_study(client, experiment_id, name)
    mine = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent.info.run_id}' and tags.`{KIND}` = 'trial'"
    runs = client.search_runs([experiment_id], mine, max_results=MAX_RUNS)
    metrics, params, epochs = parent.data.metrics, parent.data.params, _running_epochs(parent)
    total = metrics.get("trials_total", params.get("trials_planned"))  # the first is logged when a trial ends
    return StudyStatus(
        name=name,
        now=time.time(),
        total=None if total is None else int(total),
        rungs=tuple(map(int, params.get("rungs", "").split())),
        trials=tuple(sorted((_trial(client, run, epochs) for run in runs), key=lambda trial: trial.number)),
        vote=metrics.get("vote_miou"),
        gpus=_gpus(parent),
        alive=None if parent.info.status == "RUNNING" else False,  # a killed driver could not say that it ended
    )


def find_study(client: MlflowClient, experiment_id: str, name: str) -> Any:
    """Return the run of the newest study of that name. Raises UserError where MLflow has none."""
    order = {"max_results": MAX_RUNS, "order_by": ["attributes.start_time DESC"]}
    runs = [
        run
        for kind in ("study", "refit")
        for run in client.search_runs([experiment_id], f"tags.`{KIND}` = '{kind}'", **order)
    ]
    found = [run for run in runs if run.data.tags.get(STUDY) == name]
    if not found:
        known = list(dict.fromkeys(run.data.tags.get(STUDY, "") for run in runs))
        raise UserError(
            f"there is no study {name}{nearest(name, known)}; studies in MLflow: {', '.join(known) or 'none'}"
        )
    return found[0]


def vote_and_gpus(client: MlflowClient, experiment_id: str, study_id: str) -> tuple[float | None, tuple[str, ...]]:
    """Return what the vote of the study's trials scored last, and what the GPUs do; None and () where unknown."""
    run = find_study_run(client, experiment_id, study_id)
    return (run.data.metrics.get("vote_miou"), _gpus(run)) if run else (None, ())


def _running_epochs(study: Any) -> dict[int, RunningEpoch]:
    """Return the epochs in progress, by trial number; none of a study whose driver has ended."""
    return epochs_from_json(study.data.tags.get(RUNNING, "")) if study.info.status == "RUNNING" else {}


def _gpus(study: Any) -> tuple[str, ...]:
    return tuple(study.data.tags.get(GPUS, "").splitlines()) if study.info.status == "RUNNING" else ()


def _trial(client: MlflowClient, run: Any, epochs: dict[int, RunningEpoch]) -> TrialStatus:
    params, tags, metrics = run.data.params, run.data.tags, run.data.metrics
    # The tag of a trial that goes on, if it has one, says how an earlier command left it.
    open_ones = {"RUNNING": UNFINISHED, "SCHEDULED": PAUSED}
    status = open_ones.get(run.info.status) or tags.get(STATUS, UNFINISHED)
    history = sorted(client.get_metric_history(run.info.run_id, "holdout/miou"), key=lambda one: one.step)
    values: dict[str, Any] = dict(params)
    with suppress(KeyError, ValueError):
        values["lr"] = float(params["lr"])
    number, running = int(tags[TRIAL]), epochs.get(int(tags[TRIAL]))
    done = history[-1].step if history else 0
    return TrialStatus(
        number=number,
        label=label_of(values),
        status=status if status in (*ENDED, PAUSED) else UNFINISHED,
        epochs=int(params.get("epochs", 0)),
        scores=tuple(one.value for one in history),
        moments=tuple(one.timestamp / 1000 for one in history),
        epoch_s=metrics.get("epoch_s"),
        memory_gb=metrics.get("peak_memory_gb"),
        loss=metrics.get("train/loss"),
        running=running if running and status not in ENDED and running.epoch > done else None,
    )
