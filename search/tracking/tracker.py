"""MLflow: one parent run per study, one nested run per trial. Only the driver talks to it."""

import json
import logging
import math
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from trainables.config import TrialConfig
from trainables.errors import UserError
from trainables.files import replacing

log = logging.getLogger(__name__)

EXPERIMENT = "segvote"
# Otherwise MLflow opens its pages for language models, where runs are hard to find.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
KIND = "segvote.kind"  # study, trial, ensemble or refit
STUDY = "segvote.study"
STUDY_ID = "segvote.study_id"
TRIAL = "segvote.trial"  # the trial's number in its study
VERDICT = "segvote.verdict"
CANDIDATE = "segvote.candidate"
# MLflow tries for minutes by itself, and the trials would wait for that.
HTTP_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
MAX_NOTE = 8000  # characters of a tag
PREDICTIONS = "predictions"  # artifact directory of the predictions file


def default_tracking_uri(runs_dir: Path) -> str:
    return f"sqlite:///{runs_dir / 'mlflow.db'}"


def connect(tracking_uri: str, runs_dir: Path) -> tuple[MlflowClient, str]:
    """A client, and the id of the experiment of all studies. Raises UserError where the store does not answer."""
    _be_quiet()
    for name, value in HTTP_LIMITS.items():
        os.environ.setdefault(name, value)
    try:
        if tracking_uri == default_tracking_uri(runs_dir):
            create_store(runs_dir)
        client = MlflowClient(tracking_uri=tracking_uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment:
            return client, experiment.experiment_id
        # A server keeps artifacts itself; a database cannot, and MLflow would put them where the command was typed.
        has_server = tracking_uri.startswith(("http:", "https:", "databricks"))
        artifacts = None if has_server else (runs_dir / "artifacts").as_uri()
        return client, _create_experiment(client, artifacts)
    except Exception as error:  # MLflow raises what its many stores raise
        raise UserError(
            f"MLflow's store {tracking_uri} does not answer: {error}; give another --tracking-uri"
        ) from error


def _create_experiment(client: MlflowClient, artifacts: str | None) -> str:
    try:
        return client.create_experiment(EXPERIMENT, artifact_location=artifacts, tags=EXPERIMENT_TAGS)
    except MlflowException:  # another command has just made it, or the store refuses for good
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            raise
        return experiment.experiment_id


def open_store(tracking_uri: str | None, runs_dir: Path) -> tuple[MlflowClient, str]:
    """`connect`, for commands that read: UserError where no search has made a store, rather than an empty one."""
    uri = tracking_uri or default_tracking_uri(runs_dir)
    scheme, _, file = uri.partition(":///")
    if scheme == "sqlite" and not Path(file.partition("?")[0]).exists():
        raise UserError(f"there is no {file}: run a search first, or give --runs-dir or --tracking-uri")
    return connect(uri, runs_dir)


def create_store(runs_dir: Path) -> None:
    """Makes the SQLite store under another name and renames it: that takes half a minute, two processes that make the

    same one break it, and so does one that is killed meanwhile.
    """
    store = runs_dir / "mlflow.db"
    runs_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(runs_dir / ".mlflow.lock"):
        if not store.exists():
            with replacing(store) as temporary:
                MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments()


class Tracker:
    """Writes one study. Safe to start again on the same study: it goes on with the runs that are there.

    `kind` is study or refit; `under` is the run that the study's own belongs to, if any: a refit's ensemble.
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
    ) -> None:
        self.client, self.experiment_id = client, experiment_id
        self.study_name, self.study_id = study_name, study_id
        self._tags = {KIND: kind, STUDY: study_name, STUDY_ID: study_id}
        self._tags |= {MLFLOW_PARENT_RUN_ID: under} if under else {}
        self.parent_id = self._open_parent()
        runs = {int(run.data.tags[TRIAL]): run.info for run in self.trial_runs()}
        self._runs = {number: info.run_id for number, info in runs.items()}
        self._ended = {number for number, info in runs.items() if info.status in ("FINISHED", "FAILED")}
        self._logged: dict[int, int] = {}  # last epoch in MLflow, by trial number
        self._steps = self._last_step(self.parent_id, "trials_done")
        self.final_status = "FINISHED"

    def _open_parent(self) -> str:
        found = self.find(f"tags.`{KIND}` = '{self._tags[KIND]}' and tags.`{STUDY_ID}` = '{self.study_id}'")
        if found:
            self.client.update_run(found[0].info.run_id, status="RUNNING")
            return found[0].info.run_id
        return self.client.create_run(self.experiment_id, tags=self._tags, run_name=self.study_name).info.run_id

    def find(self, where: str) -> list[Any]:
        return list(self.client.search_runs([self.experiment_id], where, max_results=50000))

    def trial_runs(self) -> list[Any]:
        return self.find(f"tags.`{KIND}` = 'trial' and tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent_id}'")

    def describe_study(self, params: dict[str, Any], artifacts: list[Path]) -> None:
        """Parameters are logged once: MLflow refuses to change one, and a resumed study's are the same."""
        known = self.client.get_run(self.parent_id).data.params
        self._log_params(self.parent_id, {key: value for key, value in params.items() if key not in known})
        for path in artifacts:
            self.client.log_artifact(self.parent_id, str(path))

    def has_ended(self, number: int) -> bool:
        return number in self._ended

    def start_trial(self, number: int, params: dict[str, Any]) -> None:
        """Opens the trial's run, or goes on with the one that a killed driver left. `params` may lack defaults."""
        if number in self._runs:
            self.client.update_run(self._runs[number], status="RUNNING")
        else:
            name = f"{self.study_name}-{number:04d}"
            tags = {KIND: "trial", STUDY: self.study_name, TRIAL: str(number), MLFLOW_PARENT_RUN_ID: self.parent_id}
            run = self.client.create_run(self.experiment_id, tags={**tags, MLFLOW_RUN_NAME: name}, run_name=name)
            self._runs[number] = run.info.run_id
        # MLflow takes the same value twice: what a lost connection left out is made up for.
        self._log_params(self._runs[number], _with_defaults(params))

    def log_epochs(self, number: int, records: list[dict[str, Any]]) -> None:
        """Logs the records that MLflow does not have yet: a step that is logged twice stands there twice."""
        if number not in self._logged:
            self._logged[number] = self._last_step(self._runs[number], "train/loss")
        for record in records:
            if record["epoch"] > self._logged[number]:
                self._log_metrics(self._runs[number], record, step=record["epoch"])
                self._logged[number] = record["epoch"]

    def end_trial(self, number: int, status: str, tags: dict[str, str], artifacts: dict[Path, str | None]) -> None:
        """`status` is MLflow's (FINISHED, FAILED, KILLED); `artifacts` maps files to their artifact directory."""
        run_id = self._runs.get(number)
        if run_id is None:
            return  # suggested, never started
        for path, directory in artifacts.items():
            self.client.log_artifact(run_id, str(path), directory)
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        self.client.set_terminated(run_id, status)

    def log_study(self, metrics: dict[str, float]) -> None:
        """The study's own curves; the step counts the trials' ends over all commands that ran it."""
        self._steps += 1
        self._log_metrics(self.parent_id, metrics, step=self._steps)

    def has_ensemble(self) -> bool:
        where = f"tags.`{KIND}` = 'ensemble' and tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent_id}'"
        return any(run.info.status == "FINISHED" for run in self.find(where))

    def trial_run_id(self, number: int) -> str:
        return self._runs[number]

    def describe_result(self, text: str) -> None:
        """Puts `text` (Markdown) on the study's page, above a link to MLflow's comparison of its trials."""
        runs, experiments = list(self._runs.values()), [self.experiment_id]
        link = f"#/compare-runs?runs={quote(json.dumps(runs))}&experiments={quote(json.dumps(experiments))}"
        note = f"{text}\n\n[Compare the {len(runs)} trials]({link})"
        self.client.set_tag(self.parent_id, MLFLOW_RUN_NOTE, note if len(note) <= MAX_NOTE else text)

    def end_study(self) -> None:
        """Ends the parent with `final_status`, and as KILLED every trial's run that is still open."""
        for run in self.trial_runs():
            if run.info.status == "RUNNING":
                self.client.set_terminated(run.info.run_id, "KILLED")
        self.client.set_terminated(self.parent_id, self.final_status)

    def _log_params(self, run_id: str, params: dict[str, Any]) -> None:
        self.client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])

    def _log_metrics(self, run_id: str, values: dict[str, Any], *, step: int) -> None:
        """Log `values` at their own `time`, in seconds since 1970, where they have one: they may be told late."""
        moment = int(1000 * values.get("time", time.time()))
        metrics = [
            Metric(metric_name(key), float(value), moment, step)
            for key, value in values.items()
            if isinstance(value, int | float) and key not in ("epoch", "time") and math.isfinite(value)
        ]
        self.client.log_batch(run_id, metrics=metrics)

    def _last_step(self, run_id: str, key: str) -> int:
        return max((metric.step for metric in self.client.get_metric_history(run_id, key)), default=0)


def metric_name(name: str) -> str:
    """MLflow allows letters of all scripts, digits, and _ - . space : in the parts of a metric's name.

    Ours have up to two parts before the last, which a class names: its other characters become their code points, so
    that no two classes become one.
    """
    *parts, last = name.split("/", 2)
    last = re.sub(r"[^\w\-. :]|^\.+$", lambda found: "".join(f"_{ord(one):x}_" for one in found[0]), last)
    return "/".join([*parts, last])


def _with_defaults(params: dict[str, Any]) -> dict[str, Any]:
    """All that decides the training, so that runs of two spaces compare; as it is where it is no configuration.

    Without the directory of pretrained weights: a resumed study may have another, and MLflow lets none be changed.
    """
    with suppress(UserError):
        params = TrialConfig.from_dict(params).to_dict()
    return {key: value for key, value in params.items() if key != "weights_dir"}


def _be_quiet() -> None:
    for name in ("mlflow", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.ERROR)
