"""MLflow's store on disk: in any directory, deleted by somebody, and with runs that were made twice."""

import dataclasses
import json
import logging
import os
import re
import shutil
import socket
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs

import psutil
import pytest
import sqlalchemy
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from rich.console import Console

from ensembling.runs.ensemble import EnsembleRecord, ListedRun
from ensembling.runs.tags import KIND, VERDICT
from search.commands.ensemble.record import log_vote
from search.report.ensemble_plots import plot_ensemble
from search.study.driver import driving
from search.tracking.store import (
    check_places,
    connect,
    create_store,
    default_tracking_uri,
    explain_failure,
    find_experiment,
    is_refusal,
    open_store,
    why_no_answer,
)
from search.tracking.store_file import check_answers, check_writable, place_of_store, proxy_of
from search.tracking.study_result import log_result
from search.tracking.study_run import end_killed_studies
from search.tracking.tracker import Tracker
from search.tracking.ui import keep_view, serve, trials_page
from tests import tiny
from tests.search.report.made import make_grid, make_votes
from trainables.errors import UserError
from trainables.files import read_json, write_json

SIGNS = ("with blanks", "issue #12", "50%", "한글", "a&b;c", "which model?", "feature%2Flitter", "a+b", "x@y:z", "[b]")


@pytest.mark.parametrize("name", SIGNS)
def test_the_store_is_in_the_runs_directory_whatever_its_name(tmp_path, name):
    runs_dir = tmp_path / name
    assert sqlalchemy.make_url(default_tracking_uri(runs_dir)).database == str(runs_dir / "mlflow.db")


def test_a_plain_path_is_a_plain_uri():
    assert default_tracking_uri(Path("/data/runs")) == "sqlite:////data/runs/mlflow.db"


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory):
    made = tmp_path_factory.mktemp("runs") / "which 50%? feature%2Flitter #1"
    create_store(made)
    return made


@pytest.fixture
def store(runs_dir):
    return connect(default_tracking_uri(runs_dir), runs_dir)


def test_a_store_is_made_where_it_belongs_and_nowhere_else(runs_dir):
    assert sorted(path.name for path in runs_dir.iterdir()) == [".mlflow.lock", "mlflow.db"]
    assert [path.name for path in runs_dir.parent.iterdir()] == [runs_dir.name]


def test_artifacts_come_back_from_a_directory_with_signs(store, tmp_path):
    client, _ = store
    tracker = Tracker(*store, "signs", "id-of-signs")
    (tmp_path / "a.txt").write_text("here")
    client.log_artifact(tracker.parent_id, str(tmp_path / "a.txt"))
    found = client.download_artifacts(tracker.parent_id, "a.txt", str(tmp_path / "out"))
    assert Path(found).read_text(encoding="utf-8") == "here"


RECORD = {"epoch": 1, "train/loss": 0.5, "holdout/miou": 0.25, "time": 1000.0}


def runs_of(tracker, number):
    return [run for run in tracker.trial_runs() if run.data.tags["segvote.trial"] == str(number)]


class LosesAnswers:
    """A client that repeats create_run, as MLflow's own does over HTTP where the first answer was lost."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    def create_run(self, *arguments, **how):
        self._client.create_run(*arguments, **how)
        return self._client.create_run(*arguments, **how)


def test_a_run_that_mlflow_made_twice_is_used_once_from_the_start(store):
    client, experiment_id = store
    tracker = Tracker(LosesAnswers(client), experiment_id, "twice", "id-of-twice")
    tracker.start_trial(1, tiny.params())
    assert [run.info.run_id for run in runs_of(tracker, 1)] == [tracker.trial_run_id(1)]
    assert len(tracker.find(f"tags.`{KIND}` = 'duplicate' and tags.`segvote.study` = 'twice'")) == 2  # the study's, too


def test_of_two_runs_of_a_trial_that_a_killed_driver_left_the_ended_one_stays(store):
    client, experiment_id = store
    first = Tracker(*store, "orphan", "id-of-orphan")
    first.start_trial(1, tiny.params())
    first.log_epochs(1, [RECORD])
    tags = client.get_run(first.trial_run_id(1)).data.tags
    orphan = client.create_run(experiment_id, tags=tags).info.run_id  # newer, as a search lists it first
    first.end_trial(1, "FINISHED", {}, {})
    resumed = Tracker(*store, "orphan", "id-of-orphan")
    assert resumed.has_ended(1, "completed")
    assert [run.info.run_id for run in runs_of(resumed, 1)] == [first.trial_run_id(1)]
    marked = client.get_run(orphan)
    assert (marked.data.tags[KIND], marked.info.status) == ("duplicate", "KILLED")


def test_a_trial_that_the_machine_broke_and_a_resumed_study_completed_has_not_ended_in_mlflow(store):
    """MLflow was away when the resumed study completed it: its run still says how it broke."""
    first = Tracker(*store, "broke", "id-of-broke")
    for number, why in ((1, "failed: the disk is full"), (2, "failed: NonFiniteError")):
        first.start_trial(number, tiny.params())
        first.end_trial(number, "FAILED", {VERDICT: why}, {})
    resumed = Tracker(*store, "broke", "id-of-broke")
    assert not resumed.has_ended(1, "completed")
    assert resumed.has_ended(2, "failed: NonFiniteError")


def test_a_run_whose_answer_was_lost_is_found_by_its_tag(store):
    client, _ = store
    tracker = Tracker(*store, "lost", "id-of-lost")

    def lose(*arguments, **how):
        client.create_run(*arguments, **how)
        raise MlflowException("no answer")

    tracker.client = LosesAnswers(client)
    tracker.client.create_run = lose
    with pytest.raises(MlflowException, match="no answer"):
        tracker.start_trial(3, tiny.params())
    tracker.client = client
    tracker.start_trial(3, tiny.params())
    assert len(runs_of(tracker, 3)) == 1


def test_a_step_whose_answer_was_lost_is_logged_once(store):
    client, _ = store
    tracker = Tracker(*store, "steps", "id-of-steps")
    tracker.start_trial(1, tiny.params())
    tracker.log_epochs(1, [RECORD])
    tracker._logged[1] = 0  # as if the answer had been lost
    tracker.log_epochs(1, [RECORD])
    assert len(client.get_metric_history(tracker.trial_run_id(1), "holdout/miou")) == 1


def test_a_deleted_experiment_is_said_with_the_way_back(store, runs_dir):
    client, experiment_id = store
    uri = default_tracking_uri(runs_dir)
    client.delete_experiment(experiment_id)
    try:
        for call in (connect, check_places, open_store):
            with pytest.raises(UserError, match="is deleted: restore it by") as error:
                call(uri, runs_dir)
            assert f"mlflow experiments restore --experiment-id {experiment_id}" in str(error.value)
    finally:
        client.restore_experiment(experiment_id)
    assert connect(uri, runs_dir)[1] == experiment_id


def test_an_empty_store_is_named_with_what_to_do(tmp_path):
    (tmp_path / "mlflow.db").touch()
    for call in (connect, check_places, open_store):
        with pytest.raises(UserError, match=r"mlflow.db is empty \(0 bytes\): put a copy of it there, or delete it"):
            call(default_tracking_uri(tmp_path), tmp_path)


def test_refusals_and_outages_are_told_apart(store):
    client, _ = store
    with pytest.raises(MlflowException) as error:
        client.get_run("0" * 32)
    assert is_refusal(error.value)
    assert "refuses what is logged" in str(explain_failure(error.value, "sqlite:///x"))
    away = MlflowException("API request failed", error_code=1)
    assert not is_refusal(away)
    assert "does not answer any more" in str(explain_failure(away, "http://host:1"))


def test_an_outage_is_told_by_what_the_system_says_of_the_connection(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(MlflowException) as error:
        MlflowClient("http://127.0.0.1:9").get_run("0" * 32)
    assert why_no_answer(error.value) == "[Errno 111] Connection refused"
    assert "does not answer any more ([Errno 111] Connection refused); the study is complete on disk" in str(
        explain_failure(error.value, "http://127.0.0.1:9")
    )
    assert (
        why_no_answer(MlflowException("the disk of the server is full\nand more")) == "the disk of the server is full"
    )


def test_a_study_that_is_opened_again_knows_of_how_many_ends_mlflow_was_told(store):
    first = Tracker(*store, "mine", "id-1")
    assert first.trials_told == 0
    for done in (1, 2, 1):  # a resumed study goes on with a trial that had failed for the machine's sake
        first.log_study({"trials_done": done})
    assert first.trials_told == Tracker(*store, "mine", "id-1").trials_told == 1


def test_a_page_is_not_promised_at_a_port_that_another_program_uses(store, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"at --port {port} of 127.0.0.1 .*already in use.*: give another --port"):
            serve(tmp_path / "runs", store[0].tracking_uri, port, Console())
    assert capsys.readouterr().out == ""


def test_the_runs_of_a_study_that_was_killed_are_ended_before_the_pages_are_shown(store, tmp_path):
    client, experiment_id = store
    trackers = {name: Tracker(*store, name, f"id-of-{name}") for name in ("killed", "running", "elsewhere", "copied")}
    for name, tracker in trackers.items():
        tracker.start_trial(1, {})
        tracker.pause_trial(1)
        write_json(tmp_path / name / "study.json", {"id": f"id-of-{name}"})
        with driving(tmp_path / name):
            running = read_json(tmp_path / name / "driver.json")
    dead = running | {"pid": 2**22 + 1}
    shutil.copytree(tmp_path / "copied", tmp_path / "copy")
    for name, noted in (("killed", dead), ("copied", dead), ("elsewhere", dead | {"machine": "another"})):
        write_json(tmp_path / name / "driver.json", noted)
    for name in ("running", "copy"):
        place = {"directory": str(tmp_path / name), "inode": (tmp_path / name).stat().st_ino}
        write_json(tmp_path / name / "driver.json", running | place)

    def statuses():
        runs = {name: [one.parent_id, one.trial_run_id(1)] for name, one in trackers.items()}
        return {name: {client.get_run(run_id).info.status for run_id in ids} for name, ids in runs.items()}

    before = statuses()
    assert before == {name: {"RUNNING", "SCHEDULED"} for name in trackers}
    end_killed_studies(client, experiment_id, tmp_path)
    assert statuses() == before | {"killed": {"KILLED"}}


class StoppedAtOnce(Console):
    """A console whose first line is answered with Ctrl-C."""

    def print(self, *_: object, **__: object) -> None:
        raise KeyboardInterrupt


def test_a_server_ends_with_a_command_that_is_stopped_as_soon_as_it_says_where_the_page_is(store, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    before = {*psutil.Process().children()}
    assert serve(tmp_path / "runs", store[0].tracking_uri, port, StoppedAtOnce()) == 0
    (server,) = {*psutil.Process().children()} - before
    assert psutil.wait_procs([server], timeout=60)[1] == []


def test_places_that_can_be_used_are_left_as_they_were(tmp_path):
    check_places(None, tmp_path / "new" / "runs")
    check_places(f"sqlite:///{tmp_path / 'other' / 'store.db'}", tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file/runs", "n" * 300, "null\0byte"])
def test_an_impossible_directory_is_named_and_nothing_is_left(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=f"^--runs-dir {re.escape(str(tmp_path / name))} cannot be written to \\(.*give another"
    ):
        check_writable(tmp_path / name, "--runs-dir")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory_is_named(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(UserError, match="cannot be written to"):
        check_writable(tmp_path / "runs", "--runs-dir")


def test_a_store_of_another_version_of_mlflow_is_named_with_the_command_that_upgrades_it(runs_dir, tmp_path):
    shutil.copy(runs_dir / "mlflow.db", tmp_path)
    uri = default_tracking_uri(tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'cc1f77228345'")
        connection.commit()
    with pytest.raises(UserError) as error:
        find_experiment(uri, tmp_path)
    assert re.search(r"of another version of MLflow \(found version cc1f77228345, but expected \w+\)", str(error.value))
    assert f"\n    mlflow db upgrade {uri}\n" in str(error.value)


def test_a_store_that_cannot_be_opened_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(MlflowClient, "__init__", lambda *_, **__: pytest.fail("MLflow was asked"))
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(UserError, match=r"MLflow's store .*mlflow\.db does not answer: .*Is a directory"):
        check_places(None, tmp_path)


def test_a_store_that_cannot_be_written_to_is_named_without_a_traceback(runs_dir, tmp_path):
    shutil.copy(runs_dir / "mlflow.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:  # as a file system without writing does
        connection.execute("DELETE FROM experiments WHERE name = 'segvote'")
        connection.commit()
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON experiments BEGIN SELECT RAISE(FAIL, 'read-only'); END")
    with pytest.raises(UserError, match=r"MLflow's store .* does not answer: .*read-only"):
        connect(default_tracking_uri(tmp_path), tmp_path)
    assert not logging.getLogger("mlflow.store.db.utils").isEnabledFor(logging.ERROR)  # it logs tracebacks


def test_a_dead_store_is_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"MLflow's store http://127\.0\.0\.1:9 does not answer"):
        check_places("http://127.0.0.1:9", tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def copied(runs_dir, store, tmp_path):
    """A copy of a runs directory with a run that has an artifact; returns the copy and the run's id."""
    client, experiment_id = store
    run_id = client.create_run(experiment_id).info.run_id
    client.log_text(run_id, "as it was", "kept.txt")
    copy = tmp_path / "a colleague's #2"
    shutil.copytree(runs_dir, copy)
    return copy, run_id


def test_a_copied_store_reads_and_writes_artifacts_where_it_lies(runs_dir, copied):
    copy, run_id = copied
    client, experiment_id = connect(default_tracking_uri(copy), copy)
    artifacts = copy / "artifacts"
    assert client.get_experiment(experiment_id).artifact_location == artifacts.as_uri()
    (artifacts / run_id / "artifacts" / "kept.txt").write_text("the copy's own")
    read = Path(client.download_artifacts(run_id, "kept.txt")).read_text(encoding="utf-8")
    assert read == "the copy's own"
    # MLflow remembers within a process where a run's artifacts are: what is written is looked at in a new run.
    assert client.get_run(run_id).info.artifact_uri == f"{artifacts.as_uri()}/{run_id}/artifacts"
    another = client.create_run(experiment_id).info.run_id
    client.log_text(another, "new", "new.txt")
    assert (artifacts / another / "artifacts" / "new.txt").exists()
    assert not list(runs_dir.rglob("new.txt"))


def test_a_copied_store_is_known_where_its_uri_is_typed(copied, tmp_path, monkeypatch):
    copy, run_id = copied
    (copy / "artifacts").mkdir(exist_ok=True)
    monkeypatch.chdir(copy)
    client, experiment_id = connect("sqlite:///mlflow.db", tmp_path / "runs")
    assert client.get_experiment(experiment_id).artifact_location == (copy / "artifacts").as_uri()
    assert client.get_run(run_id).info.artifact_uri == f"{(copy / 'artifacts').as_uri()}/{run_id}/artifacts"


def test_a_resumed_study_finds_the_store_that_was_moved_with_it(runs_dir, store, tmp_path):
    moved = f"sqlite:///{tmp_path / 'gone' / 'mlflow.db'}"
    assert place_of_store(moved, runs_dir) is None
    assert place_of_store(moved, tmp_path / "empty") == moved
    for uri in (f"sqlite:///{runs_dir / 'mlflow.db'}", "http://host:5000", None):
        assert place_of_store(uri, runs_dir) == uri


def test_a_store_that_is_reached_by_another_path_is_left_as_it_is(runs_dir, store, tmp_path):
    _, experiment_id = store
    (runs_dir / "artifacts").mkdir(exist_ok=True)
    (tmp_path / "link").symlink_to(runs_dir)
    client, _ = connect(default_tracking_uri(tmp_path / "link"), tmp_path / "link")
    assert client.get_experiment(experiment_id).artifact_location == (runs_dir / "artifacts").as_uri()


def test_the_run_of_a_study_has_its_result_and_its_data(store, study):
    client, experiment_id = store
    run_id = client.create_run(experiment_id).info.run_id
    best = ListedRun(run_id="abc", name="mine-0001", study="mine", trial=1, miou=0.55)
    ensemble = EnsembleRecord(class_names=("Background", "Paper"), members=(), miou=0.6, candidates=(best,))
    log_result(client, run_id, study, ensemble)
    log_result(client, run_id, study, ensemble)  # a study that is resumed after its end
    run = client.get_run(run_id)
    assert run.data.metrics == {"vote/miou": 0.6, "best_single/miou": 0.55}
    (known,) = [found.dataset for found in run.inputs.dataset_inputs]
    assert known.digest == study.data.fingerprint[:36]
    assert str(study.data.root) in known.source


def test_a_vote_is_logged_once_and_its_plots_also_later(store, study):
    make_grid(study, [{**tiny.params(), "seed": seed} for seed in (0, 1)], lambda params: 0.5)
    ensemble, tracker = make_votes(study, {1: 0.2, 2: 0.3}), Tracker(*store, "mine", study.id)

    def logged():
        where = f"tags.`segvote.kind` = 'ensemble' and tags.`mlflow.parentRunId` = '{tracker.parent_id}'"
        runs = [run.info.run_id for run in tracker.find(where)]
        both = [*runs, tracker.parent_id]
        return len(runs), [[file.path for file in store[0].list_artifacts(run)] for run in both]

    log_vote(study, tracker, ensemble, [])  # the plots could not be drawn
    assert logged() == (1, [["ensemble.json"], []])
    plots = plot_ensemble(ensemble, study.directory)
    log_vote(study, tracker, dataclasses.replace(ensemble, command="typed elsewhere"), plots)
    pictures = sorted(path.name for path in plots)
    assert logged() == (1, [sorted(["ensemble.json", *pictures]), pictures])
    log_vote(study, tracker, dataclasses.replace(ensemble, miou=0.9), plots)
    assert logged()[0] == 2


def test_the_page_of_the_trials_is_that_of_training_runs_with_the_best_first(runs_dir, store):
    client, identity = find_experiment(default_tracking_uri(runs_dir), runs_dir)
    assert identity == store[1]
    page = trials_page("http://127.0.0.1:5001/", identity)
    assert page.startswith(f"http://127.0.0.1:5001/#/experiments/{identity}/runs?workflowType=machine_learning&")
    keep_view(client, identity)
    key = parse_qs(page.partition("?")[2])["viewStateShareKey"][0]
    view = json.loads(client.get_experiment(identity).tags[f"mlflow.sharedViewState.{key}"])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`holdout/miou`", False)
    assert view["selectedColumns"][-4:] == [
        "params.`head`",
        "params.`backbone`",
        "params.`loss`",
        "metrics.`holdout/miou`",
    ]
    assert trials_page("http://127.0.0.1:5001", None) == "http://127.0.0.1:5001"


@pytest.mark.parametrize("uri", [None, "sqlite:///x.db", "postgresql://nobody@nowhere/x", "databricks"])
def test_what_is_no_server_is_left_to_mlflow(uri):
    check_answers(uri)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "http://127.0.0.1:99999", "https://no.such.host.invalid"])
def test_a_server_that_does_not_answer_is_told_at_once(uri):
    with pytest.raises(UserError, match=f"{uri} does not answer: .*; give another --tracking-uri"):
        check_answers(uri)


@pytest.fixture
def proxy(monkeypatch):
    """The address of a proxy that does not answer, and that the environment names."""
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return "http://me:***@127.0.0.1:9"


def test_a_server_on_this_machine_is_asked_directly_where_there_is_a_proxy(proxy, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "other.example")
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert proxy_of(uri)
        check_answers(uri)
        assert proxy_of(uri) is None
    assert not any(map(proxy_of, ("http://other.example", "https://a.example")))
    with pytest.raises(UserError, match=r"does not answer: .*refused"):
        check_answers(uri)


def test_a_proxy_between_the_server_and_this_machine_is_named(proxy, tmp_path):
    uri = "http://mlflow.invalid:5000"
    with pytest.raises(
        UserError, match=f"{uri} does not answer by way of the proxy {re.escape(proxy)}, which no_proxy"
    ):
        find_experiment(uri, tmp_path)


def test_the_address_of_a_plugin_of_mlflow_is_left_to_it(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="is no address of a store"):
        check_answers("azureml://somewhere/x")
    (tmp_path / "plugin-1.0.dist-info").mkdir()
    (tmp_path / "plugin-1.0.dist-info/METADATA").write_text("Name: plugin\nVersion: 1.0\n")
    (tmp_path / "plugin-1.0.dist-info/entry_points.txt").write_text("[mlflow.tracking_store]\nazureml = plugin:Store\n")
    monkeypatch.syspath_prepend(tmp_path)
    check_answers("azureml://somewhere/x")


def test_a_store_without_the_experiment_gets_none(tmp_path):
    create_store(tmp_path)
    uri = default_tracking_uri(tmp_path)
    assert find_experiment(uri, tmp_path)[1] is None
    assert find_experiment(uri, tmp_path)[0].get_experiment_by_name("segvote") is None


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite:///:memory:"])
def test_a_store_that_keeps_nothing_is_refused(uri):
    with pytest.raises(UserError, match=re.escape(f"--tracking-uri {uri} keeps nothing: give a SQLite file")):
        check_answers(uri)
