"""`segvote ui`: MLflow's own server, on loopback, on the store of the studies."""

import subprocess
import sys
from pathlib import Path

from rich.console import Console

from search.tracking import default_tracking_uri
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
    console.print(f"MLflow on http://{HOST}:{port} (it takes half a minute to start; Ctrl-C stops it)", soft_wrap=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", HOST, "--port", str(port)]
    server = subprocess.Popen([*command, "--workers", "1"])
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        return server.wait() and 0
