"""The tracker of a study in MLflow: one parent run for the study, and one nested run for each trial.

Only the driver process talks to MLflow.
"""

import hashlib
import json
import math
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from ensembling.runs.tags import DIGEST, DUPLICATE, GPUS, KIND, MEMBER, RUNNING, STUDY, STUDY_ID, TRIAL, VERDICT
from search.tracking.study_run import end_study_run
from search.tracking.wandb_mirror import WandbMirror
from trainables.config import TrialConfig
from trainables.errors import UserError
from trainables.study_data import OBJECTIVE
from trainables.trial.running_epoch import RunningEpoch, epochs_to_json

MAX_NOTE = 8000  # characters that a tag may have
MAX_RUNNING = 40  # trials whose epoch in progress is logged to MLflow, since a tag has a limit
MAX_METRIC_NAME = 250  # characters
BATCH = 1000  # metrics that MLflow takes at once
ENDED = ("FINISHED", "FAILED")
PREDICTIONS = "predictions"  # artifact directory of the predictions file


class Tracker:
    """The writer of one study to MLflow. Started again on the same study, it continues the runs that exist.

    `kind` is study or refit. `under` is the parent of the study's own run, if it has one: for a refit, the run of its
    ensemble. What is logged of trials is also sent to the `mirror`.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        study_name: str,
        study_id: str,
        *,
        kind: str = "study",
        under: str | None = None,
        mirror: WandbMirror | None = None,
    ) -> None:
        self.client, self.experiment_id = client, experiment_id
        self.study_name, self.study_id = study_name, study_id
        self._tags = {KIND: kind, STUDY: study_name, STUDY_ID: study_id}
        self._tags |= {MLFLOW_PARENT_RUN_ID: under} if under else {}
        self.parent_id = self._open_parent()
        runs = self._one_run_a_trial()
        self._runs = {number: run.info.run_id for number, run in runs.items()}
        self._ended = {number: run for number, run in runs.items() if run.info.status in ENDED}
        self._opened: set[int] = set()
        self._logged: dict[int, int] = {}  # last epoch in MLflow, by trial number
        self._mirror = mirror
        told = {metric.step: metric.value for metric in self.client.get_metric_history(self.parent_id, "trials_done")}
        self._steps = max(told, default=0)
        self.trials_told = int(told.get(self._steps, 0))
        """How many trials had ended by the study's last metrics in MLflow."""
        self.final_status = "FINISHED"

    def _open_parent(self) -> str:
        where = f"tags.`{KIND}` = '{self._tags[KIND]}' and tags.`{STUDY_ID}` = '{self.study_id}'"
        found = self.find(where)
        if found:
            run_id = self._only_one(found).info.run_id
            self.client.update_run(run_id, status="RUNNING")
            return run_id
        run_id = self.client.create_run(self.experiment_id, tags=self._tags, run_name=self.study_name).info.run_id
        self._mark_others(run_id, self.find(where))
        return run_id

    def _one_run_a_trial(self) -> dict[int, Any]:
        by_number: dict[int, list[Any]] = {}
        for run in self.trial_runs():
            by_number.setdefault(int(run.data.tags[TRIAL]), []).append(run)
        return {number: self._only_one(runs) for number, runs in by_number.items()}

    def _only_one(self, runs: list[Any]) -> Any:
        """Return the run that was written to, preferably one that has ended, and mark the others as its duplicates.

        MLflow's client repeats a request whose answer was lost, so that one call may make two runs.
        """
        kept = max(runs, key=lambda run: (run.info.status in ENDED, len(run.data.metrics) + len(run.data.params)))
        self._mark_others(kept.info.run_id, runs)
        return kept

    def _mark_others(self, kept: str, runs: list[Any]) -> None:
        for run in runs:
            if run.info.run_id != kept:
                note = f"MLflow made this run twice: the other one, {kept}, is used"
                tags = [RunTag(KIND, DUPLICATE), RunTag(MLFLOW_RUN_NOTE, note)]
                self.client.log_batch(run.info.run_id, tags=tags)
                self.client.set_terminated(run.info.run_id, "KILLED")

    def find(self, where: str) -> list[Any]:
        """Return the runs of the experiment that the filter `where`, in MLflow's query language, selects."""
        return list(self.client.search_runs([self.experiment_id], where, max_results=50000))

    def trial_runs(self) -> list[Any]:
        """Return the runs of the study's trials."""
        return self.find(f"tags.`{KIND}` = 'trial' and tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent_id}'")

    def describe_study(self, params: dict[str, Any], artifacts: list[Path]) -> None:
        """Log the parameters and artifacts of the study.

        Parameters that are logged already are left out: MLflow refuses to change one, and those of a resumed study are
        the same.
        """
        known = self.client.get_run(self.parent_id).data.params
        self._log_params(self.parent_id, {key: value for key, value in params.items() if key not in known})
        for path in artifacts:
            self.client.log_artifact(self.parent_id, str(path))

    def has_ended(self, number: int, verdict: str) -> bool:
        """Return whether MLflow had the end of the trial when the study was opened.

        A run that failed may have been left so by the machine: a resumed study went on with its trial. Such a run has
        the trial's end only where its tag says the same `verdict`.
        """
        run = self._ended.get(number)
        return run is not None and (run.info.status != "FAILED" or run.data.tags.get(VERDICT) == verdict)

    def start_trial(self, number: int, params: dict[str, Any]) -> None:
        """Open the trial's run, or continue the one that a driver left when it was killed.

        `params` may lack keys that have defaults.
        """
        if number in self._opened:
            return
        if number not in self._runs:
            self._runs[number] = self._create_trial(number)
        self.client.update_run(self._runs[number], status="RUNNING")
        # MLflow accepts the same value twice, so this also logs what a lost connection left out.
        self._log_params(self._runs[number], _with_defaults(params))
        self._opened.add(number)
        if self._mirror:
            self._mirror.start_trial(number, _with_defaults(params))

    def _create_trial(self, number: int) -> str:
        """Return the run of a trial: one that an earlier call made, whose answer was lost, or a new one."""
        where = f"tags.`{KIND}` = 'trial' and tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent_id}'"
        where += f" and tags.`{TRIAL}` = '{number}'"
        found = self.find(where)
        if found:
            return self._only_one(found).info.run_id
        name = f"{self.study_name}-{number:04d}"
        tags = {KIND: "trial", STUDY: self.study_name, TRIAL: str(number), MLFLOW_PARENT_RUN_ID: self.parent_id}
        run = self.client.create_run(self.experiment_id, tags={**tags, MLFLOW_RUN_NAME: name}, run_name=name)
        self._mark_others(run.info.run_id, self.find(where))
        return run.info.run_id

    def log_epochs(self, number: int, records: list[dict[str, Any]]) -> None:
        """Log the records that MLflow does not have yet, because a step that is logged twice appears twice.

        One request carries as many epochs as MLflow allows.
        """
        if number not in self._logged:
            self._logged[number] = self._last_step(self._runs[number], "train/loss")
        batch: list[Metric] = []
        for record in records:
            if record["epoch"] <= self._logged[number]:
                continue
            metrics = _metrics(record, step=record["epoch"])
            if len(batch) + len(metrics) > BATCH:
                self._log_steps(number, batch)
                batch = []
            batch += metrics
        self._log_steps(number, batch)
        if self._mirror:
            self._mirror.log_epochs(number, records)

    def _log_steps(self, number: int, metrics: list[Metric]) -> None:
        if metrics:
            self.client.log_batch(self._runs[number], metrics=metrics)
            self._logged[number] = metrics[-1].step

    def pause_trial(self, number: int) -> None:
        """Show the trial's run as SCHEDULED, which is MLflow's word for a run that is to go on later."""
        self.client.update_run(self._runs[number], status="SCHEDULED")
        self._opened.discard(number)

    def end_trial(self, number: int, status: str, tags: dict[str, str], artifacts: dict[Path, str | None]) -> None:
        """Log the trial's tags and artifacts and end its run.

        Args:
            number: The number of the trial.
            status: One of MLflow's: FINISHED, FAILED or KILLED.
            tags: The tags of the run.
            artifacts: The directory of each file among the artifacts; None for the top.
        """
        run_id = self._runs.get(number)
        if run_id is None:
            return  # the trial was suggested but never started
        for path, directory in artifacts.items():
            self.client.log_artifact(run_id, str(path), directory)
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        self.client.set_terminated(run_id, status)
        self._opened.discard(number)
        if self._mirror:
            self._mirror.end_trial(number, tags, failed=status == "FAILED")

    def log_study(self, metrics: dict[str, float]) -> None:
        """Log metrics of the study itself.

        Their step counts the ends of trials over all commands that ran the study.
        """
        self._steps += 1
        self.client.log_batch(self.parent_id, metrics=_metrics(metrics, step=self._steps))
        self.trials_told = int(metrics.get("trials_done", self.trials_told))

    def log_running(self, epochs: dict[int, RunningEpoch], gpus: list[str]) -> None:
        """Replace what the study's run says of the epochs in progress, by trial number, and of the GPUs."""
        tags = [
            RunTag(RUNNING, epochs_to_json(dict(list(epochs.items())[:MAX_RUNNING]))),
            RunTag(GPUS, "\n".join(gpus)),
        ]
        self.client.log_batch(self.parent_id, tags=tags)

    def ensemble_run(self, digest: str) -> str | None:
        """Return the id of the study's run of an ensemble whose whole record was logged; None where there is none."""
        where = f"tags.`{KIND}` = 'ensemble' and tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent_id}'"
        where += f" and tags.`{DIGEST}` = '{digest}'"
        return next((run.info.run_id for run in self.find(where) if run.info.status == "FINISHED"), None)

    def tag_members(self, numbers: set[int]) -> None:
        """Tag the runs of the trials that vote, so that MLflow's pages can be filtered by the tag.

        The runs of all other trials are untagged.
        """
        for run in self.trial_runs():
            votes = "true" if int(run.data.tags[TRIAL]) in numbers else "false"
            if run.data.tags.get(MEMBER, "false") != votes:
                self.client.set_tag(run.info.run_id, MEMBER, votes)

    def trial_run_id(self, number: int) -> str:
        """Return the id of the trial's run. Raises KeyError for a trial that has none yet."""
        return self._runs[number]

    def describe_result(self, text: str) -> None:
        """Put `text` (Markdown) on the study's page, with a link to the comparison after its first paragraph."""
        runs, experiments = list(self._runs.values()), [self.experiment_id]
        where = f"runs={quote(json.dumps(runs))}&experiments={quote(json.dumps(experiments))}"
        link = f"#/compare-runs?{where}&workflowType=machine_learning"  # else in the mode for language models
        first, _, rest = text.partition("\n\n")
        note = f"{first}\n\n[Compare the {len(runs)} trials]({link})\n\n{rest}"
        self.client.set_tag(self.parent_id, MLFLOW_RUN_NOTE, note if len(note) <= MAX_NOTE else text)

    def end_study(self) -> None:
        """End the study's run with `final_status`, and as KILLED the run of every trial that is still open."""
        end_study_run(self.client, self.experiment_id, self.parent_id, self.final_status)
        if self._mirror:
            self._mirror.close()

    def _log_params(self, run_id: str, params: dict[str, Any]) -> None:
        self.client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])

    def _last_step(self, run_id: str, key: str) -> int:
        return max((metric.step for metric in self.client.get_metric_history(run_id, key)), default=0)


def _metrics(values: dict[str, Any], *, step: int) -> list[Metric]:
    """Return `values` as metrics at their own `time`, in seconds since 1970, where they have one.

    Without it they are of the current time; records of trials may arrive long after their epoch.
    """
    moment = int(1000 * values.get("time", time.time()))
    return [
        Metric(metric_name(key), float(value), moment, step)
        # MLflow's comparison of runs opens on the metric that was logged first.
        for key, value in sorted(values.items(), key=lambda item: item[0] != OBJECTIVE)
        if isinstance(value, int | float) and key not in ("epoch", "time") and math.isfinite(value)
    ]


def metric_name(name: str) -> str:
    """Return `name` as MLflow accepts it: letters of all scripts, digits and _ - . space : in parts, at most 250
    characters.

    Names have up to two parts before the last one, which may be the name of a class: other characters in it are
    replaced by their code points, and the end of a name that is too long is replaced by a hash of the whole, so that no
    two classes get the same name.
    """
    *parts, last = name.split("/", 2)
    last = re.sub(r"[^\w\-. :]|^\.+$", lambda found: "".join(f"_{ord(one):x}_" for one in found[0]), last)
    whole = "/".join([*parts, last])
    if len(whole) <= MAX_METRIC_NAME:
        return whole
    return f"{whole[: MAX_METRIC_NAME - 13]}_{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _with_defaults(params: dict[str, Any]) -> dict[str, Any]:
    """Return all parameters that decide the training, so that runs of two spaces can be compared.

    Parameters that are no valid configuration are returned as they are. The directory of pretrained weights is left
    out, because a resumed study may have another one and MLflow does not let a parameter be changed.
    """
    with suppress(UserError):
        params = TrialConfig.from_dict(params).to_dict()
    return {key: value for key, value in params.items() if key != "weights_dir"}
