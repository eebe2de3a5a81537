"""The options of a refit, checked before torch, ray and mlflow are imported."""

import dataclasses
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from search.study.data_place import BUILT_IN, data_directory
from search.study.manifest import read_manifest
from search.study.references import find_reference
from search.study.settings import RefitSettings, resumed
from search.study.study import check_name, data_root, stored_settings
from search.tracking.store_file import place_of_store
from trainables.errors import UserError
from trainables.trial.study_files import MANIFEST


def check_flags(settings: RefitSettings, given: set[str], console: Console) -> RefitSettings:
    """Return `settings` with its name, the ensemble that --ensemble means, and the options of the refit that is
    resumed.

    Raises UserError where an option names something that does not exist.
    """
    name = settings.name or (_newest(settings.runs_dir) if settings.resume else time.strftime("refit-%Y%m%d-%H%M%S"))
    check_name(settings, name)
    if settings.resume:
        settings = resumed(settings, given, stored_settings(settings, name))
        if "tracking_uri" not in given:
            uri = place_of_store(settings.tracking_uri, settings.runs_dir)
            settings = dataclasses.replace(settings, tracking_uri=uri)
        if "data" not in given:
            directory = settings.runs_dir / name
            settings = dataclasses.replace(settings, data=str(data_root(directory, read_manifest(directory))))
    elif settings.ensemble is None:
        raise UserError("--ensemble is missing: name a study, an ensemble.json or the id of its run in MLflow")
    else:
        found = find_reference(settings.ensemble, settings.runs_dir, settings.tracking_uri)
        settings = dataclasses.replace(settings, ensemble=found)
    if settings.data not in (None, BUILT_IN):
        settings = dataclasses.replace(settings, data=str(data_directory(Path(settings.data), console)))
    return dataclasses.replace(settings, name=name)


def _newest(runs_dir: Path) -> str:
    found = sorted(runs_dir.glob(f"*/{MANIFEST}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        with suppress(UserError):  # a damaged manifest is not the one that is looked for
            if read_manifest(path.parent).get("refit"):
                return path.parent.name
    raise UserError(f"there is no refit in --runs-dir {runs_dir} to resume: name it with --name")
