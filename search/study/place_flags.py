"""The flags by which another command finds a study that this one knows."""

from pathlib import Path


def place_flags(runs_dir: Path, tracking_uri: str | None) -> list[str]:
    """Return --runs-dir, where it is not the default seen from here, and --tracking-uri, where one was given."""
    flags = [] if runs_dir == Path("runs").resolve() else ["--runs-dir", str(runs_dir)]
    return flags + (["--tracking-uri", tracking_uri] if tracking_uri else [])
