"""MLflow's SQLite store, read as a file, because importing MLflow takes seconds."""

import sqlite3
from contextlib import closing
from pathlib import Path

from trainables.errors import UserError, nearest

STORE = "mlflow.db"


def check_store(runs_dir: Path) -> Path:
    """Return the store of the runs directory. Raises UserError where no search has made one."""
    store = runs_dir / STORE
    if not store.exists():
        raise UserError(
            f"there is no {STORE} in --runs-dir {runs_dir}: run a search first, or give the --runs-dir of one, or a "
            "--tracking-uri"
        )
    return store


def place_of_store(tracking_uri: str | None, runs_dir: Path) -> str | None:
    """Return the URI that a study was started with, and None, the default, where its store was moved with the study."""
    prefix = "sqlite:///"
    if tracking_uri and tracking_uri.startswith(prefix):
        file = Path(tracking_uri.removeprefix(prefix))
        if file.name == STORE and not file.exists() and (runs_dir / STORE).exists():
            return None
    return tracking_uri


def check_studies(names: tuple[str, ...], runs_dir: Path, known: list[str]) -> None:
    """Raise UserError, with the nearest names, where a name is neither in `known` nor a study or run of the store."""
    in_store, ids = _studies_of(check_store(runs_dir))
    if ids is None:  # another version of MLflow may use other tables: MLflow itself checks the names later
        return
    known = sorted({*known, *in_store})
    unknown = [name for name in names if name not in known and name not in ids]
    if unknown or not names:
        wrong = ", ".join(name + nearest(name, known) for name in unknown)
        raise UserError(
            f"--studies: {f'unknown study {wrong}' if unknown else 'no study is named'}; in --runs-dir {runs_dir} "
            f"there are {', '.join(known) or 'none yet'}"
        )


def _studies_of(store: Path) -> tuple[set[str], set[str] | None]:
    """Return the names and the run ids of the studies in the store; no ids where it cannot be read."""
    from ensembling.runs.tags import KIND, STUDY  # a second of imports, which segvote ui does without

    query = (
        "SELECT kinds.run_uuid, names.value FROM tags kinds JOIN tags names ON kinds.run_uuid = names.run_uuid "
        "WHERE kinds.key = ? AND kinds.value IN ('study', 'refit') AND names.key = ?"
    )
    try:
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(query, (KIND, STUDY)).fetchall()
    except sqlite3.Error:
        return set(), None
    return {name for _, name in rows}, {run_id for run_id, _ in rows}
