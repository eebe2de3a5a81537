"""MLflow's SQLite store, read as a file, because importing MLflow takes seconds."""

import ipaddress
import os
import re
import socket
import sqlite3
import tempfile
from contextlib import closing, suppress
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from search.study.place_flags import HIDDEN, without_password
from trainables.errors import UserError, nearest

STORE = "mlflow.db"
CONNECT_S = 10  # to wait for a server
# The kinds of addresses that MLflow knows itself, and the group in which its plugins register others, such as azureml.
SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks", "databricks-uc", "uc")
PLUGINS = "mlflow.tracking_store"


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


def check_writable(directory: Path, called: str) -> None:
    """Raise UserError where the directory cannot be created or written to; leave it as it was."""
    made: list[Path] = []
    try:
        for place in reversed([directory, *directory.parents]):
            if not place.exists():
                place.mkdir()
                made.append(place)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{called} {directory} cannot be written to ({reason}): give another one") from error
    finally:
        for place in reversed(made):
            with suppress(OSError):
                place.rmdir()


def check_scheme(tracking_uri: str) -> None:
    """Raise UserError for an address where MLflow keeps no runs, and for one that was shown without its password."""
    if HIDDEN in tracking_uri:
        raise UserError(
            f"--tracking-uri {tracking_uri} was shown without its password: type the password in place of ***"
        )
    scheme, colon, rest = tracking_uri.partition(":")
    kind = scheme.partition("+")[0]
    if kind == "sqlite" and rest.lstrip("/") in ("", ":memory:"):
        raise UserError(f"--tracking-uri {tracking_uri} keeps nothing: give a SQLite file, as sqlite:///FILE")
    known = kind in SCHEMES if colon else tracking_uri.startswith("databricks")
    if known or scheme in entry_points(group=PLUGINS).names or os.environ.get("MLFLOW_ALLOW_FILE_STORE"):
        return
    is_path = not colon and ("/" not in tracking_uri or tracking_uri[0] in "./~")
    if kind == "file" or is_path:
        directory = Path(rest.removeprefix("//") if colon else tracking_uri).expanduser().absolute()
        meant = f"a SQLite file, as sqlite:///{directory / STORE}, since MLflow no longer keeps runs in directories"
    else:
        host = re.sub("^[a-z]*:?/+", "", without_password(tracking_uri))
        meant = f"an address such as http://{host}, or a SQLite file, sqlite:///FILE"
    raise UserError(f"--tracking-uri {without_password(tracking_uri)} is no address of a store: give {meant}")


def check_answers(tracking_uri: str | None) -> None:
    """Raise UserError for no address, and where the server of an http address cannot be connected to.

    Any other store is left to MLflow, and so is a server that is behind a proxy. A server on this machine is asked
    directly from now on, whatever proxy the environment names.
    """
    if tracking_uri:
        check_scheme(tracking_uri)
    parts = urlsplit(tracking_uri or "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return
    if proxy_of(tracking_uri) and _is_this_machine(parts.hostname):
        named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        os.environ["no_proxy"] = f"{named},{parts.hostname}" if named else parts.hostname
    if proxy_of(tracking_uri):
        return
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        with socket.create_connection((parts.hostname, port), timeout=CONNECT_S):
            pass
    except (OSError, ValueError) as error:
        raise UserError(
            f"MLflow's store {without_password(tracking_uri)} does not answer: {error}; give another --tracking-uri"
        ) from error


def proxy_of(tracking_uri: str) -> str | None:
    """Return the proxy that requests to the store's server go through, as the environment names it, or None."""
    parts = urlsplit(tracking_uri)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme) or getproxies().get("all")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
