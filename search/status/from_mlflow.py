"""The status of a study from MLflow alone: of one that runs elsewhere, whose files are not here."""

import time
from contextlib import suppress
from typing import Any

from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ensembling.runs.tags import KIND, STATUS, STUDY, STUDY_ID, TRIAL
from search.report.progress import label_of
from search.status.status import ENDED, StudyStatus, TrialStatus
from trainables.errors import UserError, nearest

MAX_RUNS = 50000  # what MLflow returns at most


def status_from_mlflow(client: MlflowClient, experiment_id: str, name: str) -> StudyStatus:
    """Return how far the newest study of that name is. Raises UserError, with the names there are, where none is."""
    parent = find_study(client, experiment_id, name)
    mine = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent.info.run_id}' and tags.`{KIND}` = 'trial'"
    runs = client.search_runs([experiment_id], mine, max_results=MAX_RUNS)
    metrics = parent.data.metrics
    return StudyStatus(
        name=name,
        now=time.time(),
        total=int(metrics["trials_total"]) if "trials_total" in metrics else None,
        rungs=(),
        trials=tuple(sorted((_trial(client, run) for run in runs), key=lambda trial: trial.number)),
        vote=metrics.get("vote_miou"),
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


def vote_so_far(client: MlflowClient, experiment_id: str, study_id: str) -> float | None:
    """Return what the vote of the study's trials scored last; None where MLflow does not know."""
    runs = client.search_runs([experiment_id], f"tags.`{STUDY_ID}` = '{study_id}'", max_results=1)
    return runs[0].data.metrics.get("vote_miou") if runs else None


def _trial(client: MlflowClient, run: Any) -> TrialStatus:
    params, tags, metrics = run.data.params, run.data.tags, run.data.metrics
    status = tags.get(STATUS, "unfinished")
    history = sorted(client.get_metric_history(run.info.run_id, "holdout/miou"), key=lambda one: one.step)
    values: dict[str, Any] = dict(params)
    with suppress(KeyError, ValueError):
        values["lr"] = float(params["lr"])
    return TrialStatus(
        number=int(tags[TRIAL]),
        label=label_of(values),
        status=status if status in ENDED else "unfinished",
        epochs=int(params.get("epochs", 0)),
        scores=tuple(one.value for one in history),
        moments=tuple(one.timestamp / 1000 for one in history),
        epoch_s=metrics.get("epoch_s"),
        memory_gb=metrics.get("peak_memory_gb"),
    )
