"""The flags by which another command finds a study that this one knows, without the password of MLflow's store."""

import re
from pathlib import Path

HIDDEN = ":***@"  # in the place of a password


def without_password(tracking_uri: str) -> str:
    """Return the address as it is kept and shown: files, reports and MLflow's runs are read by others."""
    return re.sub(r"(?<=://)([^/:@]*):[^/]*@", rf"\1{HIDDEN}", tracking_uri)


def place_flags(runs_dir: Path, tracking_uri: str | None) -> list[str]:
    """Return --runs-dir, where it is not the default seen from here, and --tracking-uri, where one was given."""
    flags = [] if runs_dir == Path("runs").resolve() else ["--runs-dir", str(runs_dir)]
    return flags + (["--tracking-uri", without_password(tracking_uri)] if tracking_uri else [])
