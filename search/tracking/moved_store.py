"""A SQLite store that was moved or copied with its runs directory: its paths are set to where the artifacts are now.

MLflow writes the absolute path of every artifact into the store. After the runs directory was moved or copied, MLflow
would still read and write at the old path, which for a copy means in the original.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from filelock import FileLock

# The tables and columns that hold paths of artifacts. Stores of other versions of MLflow lack some of them.
PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


def mend_artifact_places(store: Path, experiment: str, artifacts: Path) -> bool:
    """Set the paths of the experiment's artifacts to the directory `artifacts`; return whether they had to be changed.

    Nothing is changed where the experiment's own path already leads to that directory, or is not on this machine.
    """
    with FileLock(store.with_name(".mlflow.lock")), closing(sqlite3.connect(store, timeout=60)) as connection:
        row = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", (experiment,)).fetchone()
        old, new = (row[0] or "").rstrip("/") if row else "", artifacts.as_uri()
        if not old or old == new or not _moved(old, artifacts):
            return False
        with connection:  # one transaction
            for table, columns in PLACES.items():
                known = {column[1] for column in connection.execute(f"PRAGMA table_info({table})")}
                for column in known.intersection(columns):
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR "
                        f"substr({column}, 1, ?) = ?",
                        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                    )
    return True


def _moved(old: str, artifacts: Path) -> bool:
    parts = urlsplit(old)
    if parts.scheme not in ("", "file"):
        return False
    place = Path(unquote(parts.path))
    return not (place.exists() and artifacts.exists() and place.samefile(artifacts))
