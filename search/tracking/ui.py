"""`segvote ui`: MLflow's own server, on loopback, on the store of the studies."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from search.report.plain import say
from search.tracking.store import default_tracking_uri
from trainables.errors import UserError

HOST = "127.0.0.1"


def serve(runs_dir: Path, tracking_uri: str | None, port: int, console: Console) -> int:
    """Runs until it is stopped; returns the server's exit code."""
    runs_dir = runs_dir.expanduser().resolve()
    if tracking_uri is None and not (runs_dir / "mlflow.db").exists():
        raise UserError(
            f"there is no {runs_dir / 'mlflow.db'}: run a search first, or give --runs-dir or --tracking-uri"
        )
    uri = tracking_uri or default_tracking_uri(runs_dir)
    say(console, f"MLflow on http://{HOST}:{port} (it takes half a minute to start; Ctrl-C stops it)")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", HOST, "--port", str(port)]
    # In a session of its own, since MLflow starts helpers that outlive it: they are all ended together.
    server = subprocess.Popen([*command, "--workers", "1"], start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
