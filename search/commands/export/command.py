"""`segvote export`: an ensemble in a directory of its own, as a model that MLflow serves, and its members as files."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlflow.tracking import MlflowClient
from rich.console import Console

from ensembling.export.bundle import check_members, check_new, write_ensemble
from ensembling.export.member_formats import FORMATS, Export, export_members
from ensembling.runs.members import Ensemble, open_ensemble
from ensembling.runs.registered import REGISTERED
from search.report.console import PlainTable, say, working
from search.report.durations import counted
from search.study.place_flags import without_password
from search.tracking.ensemble_run import find_run
from search.tracking.model_registry import check_model_name, register
from search.tracking.store import connect, default_tracking_uri
from trainables.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The options of one `segvote export` command."""

    reference: str
    name: str | None = None
    out: Path | None = None
    formats: tuple[str, ...] = ()
    runs_dir: Path = Path("runs")
    tracking_uri: str | None = None

    def connect(self) -> tuple[MlflowClient, str]:
        return connect(self.tracking_uri or default_tracking_uri(self.runs_dir), self.runs_dir)


def run_export(options: ExportOptions, console: Console) -> int:
    """Export the ensemble, register it, convert its members, and return the exit code.

    The exit code is 1 where a member could not be converted.
    """
    formats = _usable(options.formats, console)
    if options.name:
        check_model_name(options.name)
    with working(console, "Looking for the members …"):
        ensemble = open_ensemble(options.reference, options.runs_dir, lambda: options.connect()[0])
        name = options.name or _name(ensemble, options)
        check_model_name(name)
        directory = options.out or options.runs_dir / "exported" / name
        check_new(directory)
        check_members(ensemble)
    write_ensemble(ensemble, directory)
    say(console, f"exported  {counted(len(ensemble.members), 'member', 'members')} to {directory}")
    with working(console, "Registering the model …"):
        client, experiment_id = options.connect()
        run_id = find_run(ensemble, options.reference, options.connect)
        version = register(client, experiment_id, run_id, name, directory)
    say(
        console,
        f"MLflow    {REGISTERED}{name}/{version}; to serve it:\n"
        f"          MLFLOW_TRACKING_URI={shlex.quote(without_password(client.tracking_uri))} "
        f"mlflow models serve -m {shlex.quote(f'{REGISTERED}{name}/{version}')} --env-manager local",
    )
    if not formats:
        return 0
    with working(console, "Converting the members …"):
        exports = list(export_members(ensemble, directory, formats))
    show_exports(console, exports)
    return int(any(export.error for export in exports))


def _usable(formats: Iterable[str], console: Console) -> list[str]:
    """Return the formats whose modules are installed, and say which modules the others need.

    Raises UserError where a single format was asked for and cannot be used.
    """
    asked = list(dict.fromkeys(formats))
    missing = {name: FORMATS[name].missing for name in asked if FORMATS[name].missing}
    for name, modules in missing.items():
        what = f"--format {name} needs {', '.join(modules)}: pip install {' '.join(modules)}"
        if len(asked) == 1:
            raise UserError(what)
        say(console, f"{what}; the format is left out")
    return [name for name in asked if name not in missing]


def _name(ensemble: Ensemble, options: ExportOptions) -> str:
    """Return the name of the directory that the ensemble was read from, of the registered model, or of the run."""
    if Path(options.reference).expanduser().exists():
        return ensemble.name
    if options.reference.startswith(REGISTERED):
        return options.reference.removeprefix(REGISTERED).partition("/")[0].partition("@")[0]
    return options.connect()[0].get_run(options.reference).info.run_name


def show_exports(console: Console, exports: list[Export]) -> None:
    """Print a table that compares the files with the models that they were made from, and the errors."""
    headings = ("member", "file", ">MB", ">largest difference of logits", ">same class")
    table = PlainTable("Exported files compared with their models on random images", *headings)
    for one in exports:
        if one.error:
            continue
        size = f"{one.path.stat().st_size / 1e6:.1f}"
        table.add_row(one.member.name, one.path.name, size, f"{one.difference:.1e}", f"{one.equal:.3%}")
    if table.rows:
        console.print(table)
    for one in exports:
        if one.error:
            what = f"{one.member.name} could not be converted to {one.format}: {one.error}"
            say(console, what)
