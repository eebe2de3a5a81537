"""MLflow's store: its address, whether it answers, and the experiment that holds all studies."""

import logging
import os
import re
import shlex
from pathlib import Path

import sqlalchemy
from filelock import FileLock
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from search.study.place_flags import without_password
from search.tracking.client import StoreClient
from search.tracking.moved_store import mend_artifact_places
from search.tracking.store_file import STORE, check_answers, check_writable, proxy_of
from trainables.errors import UserError, one_line
from trainables.files import replacing

EXPERIMENT = "segvote"
# Without this tag MLflow opens its pages for language models, where runs are hard to find.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# By default MLflow repeats a request for minutes, and the trials would wait for that.
HTTP_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
ARTIFACTS = "artifacts"  # directory of the runs directory
OTHER_VERSION = re.compile(r"out-of-date database schema \((.*?)\)")  # as MLflow says it
# The codes of errors with which MLflow refuses a request that it would refuse again.
REFUSALS = (
    "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE",
    "PERMISSION_DENIED", "UNAUTHENTICATED", "ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "RESOURCE_LIMIT_EXCEEDED",
)  # fmt: skip


def default_tracking_uri(runs_dir: Path) -> str:
    """Return the URI of the SQLite store in the runs directory, whatever characters its path holds."""
    file = str(runs_dir / STORE)
    uri = f"sqlite:///{file}"
    if _sqlite_file(uri) == Path(file):
        return uri
    return _sqlite_uri(file)


def _sqlite_uri(file: str) -> str:
    """Return the URI of a SQLite file with its special characters escaped.

    The URI names the driver, because MLflow takes what follows sqlite:/// for a path and would create that directory.
    """
    return sqlalchemy.URL.create("sqlite+pysqlite", database=file).render_as_string()


def _sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None for a server or another database."""
    try:
        url = sqlalchemy.make_url(uri)
    except sqlalchemy.exc.ArgumentError:
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(url.database) if is_file else None


def connect(tracking_uri: str, runs_dir: Path) -> tuple[MlflowClient, str]:
    """Return a client and the id of the experiment of all studies, which is created if it does not exist.

    Raises UserError where the store does not answer, and where the experiment was deleted.
    """
    client, experiment_id = find_experiment(tracking_uri, runs_dir)
    if experiment_id is not None:
        return client, experiment_id
    # A server keeps artifacts itself. For a database, MLflow would put them in the current directory.
    has_server = tracking_uri.startswith(("http:", "https:", "databricks"))
    try:
        return client, _create_experiment(client, None if has_server else (runs_dir / ARTIFACTS).as_uri())
    except Exception as error:  # each of MLflow's stores raises errors of its own types
        raise _no_answer(tracking_uri, error) from error


def _client(tracking_uri: str, runs_dir: Path) -> MlflowClient:
    check_answers(tracking_uri)
    _be_quiet()
    for name, value in HTTP_LIMITS.items():
        os.environ.setdefault(name, value)
    is_default = tracking_uri == default_tracking_uri(runs_dir)
    if is_default:
        create_store(runs_dir)
    file = _sqlite_file(tracking_uri)
    if file is not None and file.exists():
        with file.open("rb") as stream:  # raises OSError with the reason, where MLflow would try again for minutes
            if not stream.read(1):
                raise UserError(
                    f"MLflow's store {file} is empty (0 bytes): put a copy of it there, or delete it, and each study "
                    "is logged to a new one when it is resumed with --resume"
                )
    if file is not None and file.name == STORE and file.is_file():
        artifacts = file.absolute().parent / ARTIFACTS
        if is_default or artifacts.is_dir():  # the store of a runs directory, also where its URI is typed
            mend_artifact_places(file, EXPERIMENT, artifacts)
    return StoreClient(tracking_uri=tracking_uri)


def _check_not_deleted(experiment: object, tracking_uri: str) -> None:
    if experiment.lifecycle_stage == "deleted":
        shown = without_password(tracking_uri)
        raise UserError(
            f"MLflow's experiment {EXPERIMENT}, which holds all studies of {shown}, is deleted: restore it by\n"
            f"    MLFLOW_TRACKING_URI={shlex.quote(shown)} mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}\nor give another --tracking-uri"
        )


def _no_answer(tracking_uri: str, error: Exception) -> UserError:
    shown = without_password(tracking_uri)
    versions = OTHER_VERSION.search(str(error))
    if versions:
        return UserError(
            f"MLflow's store {shown} is of another version of MLflow ({versions[1]}). If an older one made it, copy it "
            f"and then bring it up to date by\n    mlflow db upgrade {shlex.quote(shown)}\n"
            "If a newer one made it, install that one, or give another --tracking-uri"
        )
    proxy = proxy_of(tracking_uri)
    asked = f" by way of the proxy {without_password(proxy)}, which no_proxy can leave out" if proxy else ""
    return UserError(
        f"MLflow's store {shown} does not answer{asked}: {why_no_answer(error)}; give another --tracking-uri"
    )


def _create_experiment(client: MlflowClient, artifacts: str | None) -> str:
    try:
        return client.create_experiment(EXPERIMENT, artifact_location=artifacts, tags=EXPERIMENT_TAGS)
    except MlflowException:  # another command has just made it, or the store refuses for good
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            raise
        return experiment.experiment_id


def check_places(tracking_uri: str | None, runs_dir: Path) -> None:
    """Raise UserError where runs could not be written or MLflow does not answer, before any work is done.

    Nothing is left behind: a store that does not exist yet is not made.
    """
    check_writable(runs_dir, "--runs-dir")
    uri = tracking_uri or default_tracking_uri(runs_dir)
    file = _sqlite_file(uri)
    if file is not None and not file.exists():
        if tracking_uri:
            check_writable(file.parent, f"--tracking-uri {without_password(tracking_uri)}: the directory")
        return
    find_experiment(uri, runs_dir)


def find_experiment(tracking_uri: str, runs_dir: Path) -> tuple[MlflowClient, str | None]:
    """Return a client and the id of the experiment of all studies, None where the store has none yet.

    Raises UserError where the store does not answer, and where the experiment was deleted.
    """
    try:
        client = _client(tracking_uri, runs_dir)
        experiment = client.get_experiment_by_name(EXPERIMENT)
    except UserError:
        raise
    except Exception as error:  # each of MLflow's stores raises errors of its own types
        raise _no_answer(tracking_uri, error) from error
    if experiment:
        _check_not_deleted(experiment, tracking_uri)
    return client, experiment.experiment_id if experiment else None


def open_store(tracking_uri: str | None, runs_dir: Path) -> tuple[MlflowClient, str]:
    """Return what `connect` returns, for commands that only read.

    Raises UserError where no search has made a store yet; none is made.
    """
    uri = tracking_uri or default_tracking_uri(runs_dir)
    file = _sqlite_file(uri)
    if file is not None and not file.exists():
        raise UserError(f"there is no {file}: run a search first, or give --runs-dir or --tracking-uri")
    return connect(uri, runs_dir)


def create_store(runs_dir: Path) -> None:
    """Create the SQLite store under a temporary name and rename it.

    Creating it takes half a minute. Two processes that created the same file would damage it, and so would a process
    that is killed meanwhile.
    """
    store = runs_dir / STORE
    runs_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(runs_dir / ".mlflow.lock"):
        if not store.exists():
            with replacing(store) as temporary:
                MlflowClient(tracking_uri=_sqlite_uri(str(temporary))).search_experiments()


def why_no_answer(error: BaseException) -> str:
    """Return in one line why MLflow failed: what the system says of the connection, where there is none.

    MLflow's own message of a lost connection holds the representations of several libraries' errors.
    """
    first = error
    while first.__cause__ or first.__context__:
        first = first.__cause__ or first.__context__
    return one_line(first if isinstance(first, OSError) else error)


def is_refusal(error: Exception) -> bool:
    """Return whether MLflow answered and would refuse the same request again, rather than being out of reach for a
    while.
    """
    return isinstance(error, MlflowException) and error.error_code in REFUSALS


def explain_failure(error: MlflowException, tracking_uri: str) -> UserError:
    """Return the error to show where MLflow fails in the middle of a command. What MLflow lacks is on disk."""
    shown = without_password(tracking_uri)
    if is_refusal(error):
        return UserError(
            f"MLflow's store {shown} refuses what is logged ({error}); the study is complete on disk: restore "
            "what was deleted or changed there, as by mlflow runs restore, and the same command with --resume goes on"
        )
    return UserError(
        f"MLflow's store {shown} does not answer any more ({why_no_answer(error)}); the study is complete on "
        "disk: the same command with --resume brings MLflow up to date"
    )


def _be_quiet() -> None:
    for name in ("mlflow", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)  # it logs tracebacks of what it then raises
