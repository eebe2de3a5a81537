"""`segvote ui`: MLflow's page of the trials, on a server that runs already or on one of our own, on loopback alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from mlflow.tracking import MlflowClient
from rich.console import Console

from search.report.console import say
from search.tracking.store import default_tracking_uri, find_experiment
from search.tracking.store_file import check_store
from search.tracking.study_run import end_killed_studies
from trainables.errors import UserError
from trainables.study_data import OBJECTIVE

VIEW = "segvote"
# The state of the runs' table, by MLflow's own names.
LISTED = {
    "orderByKey": f"metrics.`{OBJECTIVE}`",
    "orderByAsc": False,
    "selectedColumns": [
        "attributes.`Start Time`",
        "attributes.`Duration`",
        "params.`head`",
        "params.`backbone`",
        "params.`loss`",
        f"metrics.`{OBJECTIVE}`",
    ],
}
HOST = "127.0.0.1"
START_S = 180  # seconds to wait for the server's answer before the page is given up


def trials_page(server: str, identity: str | None) -> str:
    """Return the address of the server's page with the experiment's runs, the best first.

    It is the address of MLflow's first page where the experiment is not known. MLflow 3 opens an experiment in its mode
    for language models unless the address says otherwise.
    """
    server = server.rstrip("/")
    if identity is None:
        return server
    query = {"workflowType": "machine_learning", "viewStateShareKey": VIEW}
    return f"{server}/#/experiments/{identity}/runs?{urlencode(query)}"


def keep_view(client: MlflowClient, identity: str) -> None:
    """Write to the experiment how its runs are to be listed: MLflow's page has no parameter for columns.

    It looks for what its "share" button would have written, a tag that the address names, as plain JSON.
    """
    client.set_experiment_tag(identity, f"mlflow.sharedViewState.{VIEW}", json.dumps(LISTED))


def serve(runs_dir: Path, tracking_uri: str | None, port: int, console: Console) -> int:
    """Open the page of the trials, and return the exit code.

    Args:
        runs_dir: The runs directory, whose store is served unless another one is named.
        tracking_uri: The address of MLflow's store. The page of a server is its own; for any other store a server is
            run until somebody stops it.
        port: The port of that server.
        console: Where to print.

    Raises:
        UserError: There is no store, or it does not answer, or no server can be run at the port.
    """
    runs_dir = runs_dir.expanduser().resolve()
    if tracking_uri is None:
        check_store(runs_dir)
    uri = tracking_uri or default_tracking_uri(runs_dir)
    client, identity = find_experiment(uri, runs_dir)
    if identity is not None:
        keep_view(client, identity)
        end_killed_studies(client, identity, runs_dir)
    if uri.startswith(("http://", "https://")):
        page = trials_page(uri, identity)
        say(console, f"MLflow is at\n    {page}")
        if console.is_terminal:
            webbrowser.open(page)
        return 0
    _check_port(port)
    page = trials_page(f"http://{HOST}:{port}", identity)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", HOST, "--port", str(port)]
    # MLflow starts processes that outlive it: in a session of their own, all of them can be ended together.
    server = subprocess.Popen([*command, "--workers", "1"], start_new_session=True)
    try:
        say(console, f"MLflow is at\n    {page}\n(it takes half a minute to start; Ctrl-C stops it)")
        if console.is_terminal:
            threading.Thread(target=_open_when_it_answers, args=(port, page), daemon=True).start()
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)


def _check_port(port: int) -> None:
    """Raise UserError where no server can be run at the port: MLflow's own would end with a log and exit code 0."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise UserError(
            f"no server can be run at --port {port} of {HOST} ({error.strerror}): give another --port"
        ) from error


def _open_when_it_answers(port: int, page: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(URLError, OSError), urlopen(f"http://{HOST}:{port}/health", timeout=5):
            webbrowser.open(page)
            return
        time.sleep(1)
