"""StudyRecord: all that a study's files say, read once, so that what draws it never touches a file."""

import shlex
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from ensembling.runs.ensemble import EnsembleRecord, read_ensemble
from search.study.settings import FLAGS, SCHEDULER_BEFORE
from search.study.space import Space
from search.study.space_file import find_space
from search.study.study import Study
from search.tuning.schedulers.rungs import default_grace_period, rungs
from trainables.config import TrialConfig
from trainables.errors import UserError
from trainables.study_data import OBJECTIVE
from trainables.trial.files import TrialFiles

UNFINISHED = "unfinished"  # a trial without a verdict: it is running, or a resumed study goes on with it
DEFAULTS = {one.name: one.default for one in fields(TrialConfig) if one.default is not MISSING}
# Settings with a value that a single trial has to be given again.
FLAGS_OF_A_TRIAL = (
    "space", "data", "train_json", "val_json", "unlabelled", "pseudo", "pseudo_weight", "folds", "holdout_fraction",
    "holdout", "group_by", "seed", "epochs", "image_size", "weights_dir", "init_from",
)  # fmt: skip


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its configuration with every default, the record of each epoch, and how it ended.

    `status` is completed, stopped, failed or unfinished. `sampled` are the values that Optuna drew; empty in a grid.
    `command` trains the same configuration again; empty in a refit, which has no such command.
    """

    number: int
    name: str
    params: dict[str, Any]
    sampled: dict[str, Any]
    epochs: int
    records: tuple[dict[str, Any], ...]
    status: str
    failure: str | None
    command: str

    @cached_property
    def scores(self) -> list[float]:
        """Return the holdout's mIoU after each epoch; it is empty where the study scores nothing."""
        return [record[OBJECTIVE] for record in self.records if OBJECTIVE in record]

    @property
    def best(self) -> float | None:
        """Return the highest of the scores; None without any, and for a trial that failed."""
        return max(self.scores, default=None) if self.status != "failed" else None

    @property
    def best_epoch(self) -> int:
        return self.scores.index(max(self.scores)) + 1 if self.scores else 0

    @property
    def best_record(self) -> dict[str, Any]:
        """Return the record of the best epoch; it is empty where nothing was scored."""
        return self.records[self.best_epoch - 1] if self.scores else {}

    def best_until(self, epoch: int) -> float | None:
        """Return the highest score of the first `epoch` epochs; None where the trial ended earlier, or failed."""
        return max(self.scores[:epoch]) if 0 < epoch <= len(self.scores) and self.status != "failed" else None

    @property
    def seconds(self) -> float:
        """Return the seconds that its epochs took together."""
        return sum(record.get("epoch_s", 0.0) for record in self.records)


@dataclass(frozen=True)
class StudyRecord:
    """One study. `rungs` are epochs before the last at which trials could be stopped; `ensemble` is ensemble.json."""

    name: str
    directory: str
    created: str
    settings: dict[str, Any]
    class_names: tuple[str, ...]
    holdout_images: int
    holdout_fingerprint: str
    epochs: int
    rungs: tuple[int, ...]
    trials: tuple[TrialRecord, ...]
    ensemble: EnsembleRecord | None

    @property
    def is_refit(self) -> bool:
        """Return whether the members of an ensemble were trained again, in place of a search of a space."""
        return "space" not in self.settings

    @cached_property
    def scored(self) -> list[TrialRecord]:
        """Return the trials that did not fail and have a score, in the order of their numbers."""
        return [trial for trial in self.trials if trial.best is not None]

    @property
    def best(self) -> TrialRecord | None:
        return max(self.scored, key=lambda trial: (trial.best, -trial.number), default=None)

    @property
    def common_epoch(self) -> int:
        """Return the epoch at which all trials can be compared: the first rung, or the last epoch of a grid."""
        return self.rungs[0] if self.rungs else self.epochs

    @cached_property
    def members(self) -> dict[int, int]:
        """Return the rank of each of this study's trials that votes, by the trial's number."""
        members = self.ensemble.members if self.ensemble else ()
        return {member.trial: member.rank for member in members if member.study == self.name}

    @cached_property
    def factors(self) -> dict[str, list[Any]]:
        """Return the parameters that differ between trials, each with its values in ascending or alphabetical order."""
        found: dict[str, list[Any]] = {}
        for key in dict.fromkeys(key for trial in self.trials for key in trial.params):
            values = {trial.params[key] for trial in self.trials if key in trial.params}
            if len(values) > 1 and key not in ("weights_dir", "epochs"):
                found[key] = sorted(values, key=_order)
        return found


def _order(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return (not is_number, float(value) if is_number else 0.0, str(value))


def read_study_record(study: Study) -> StudyRecord:
    """Read the study's files. A trial whose configuration cannot be read is an error that names the file."""
    settings = study.manifest["settings"]
    trials = tuple(_read_trial(study, files) for files in study.trials())
    epochs = max((trial.epochs for trial in trials), default=settings.get("epochs") or 0)
    return StudyRecord(
        name=study.name,
        directory=str(study.directory),
        created=study.manifest.get("created", ""),  # older studies lack the key
        settings=settings,
        class_names=study.data.class_names,
        holdout_images=len(study.data.splits.holdout),
        holdout_fingerprint=study.holdout_fingerprint,
        epochs=epochs,
        rungs=tuple(_rungs(settings, epochs, study.directory)),
        trials=trials,
        ensemble=_selected(study),
    )


def _selected(study: Study) -> EnsembleRecord | None:
    """Return the record of the study's vote; None before there is one, and for a refit, which selects nothing."""
    return read_ensemble(study.ensemble_file) if study.ensemble_file.exists() and not study.refit else None


def _read_trial(study: Study, files: TrialFiles) -> TrialRecord:
    suggestion = files.read_suggestion()
    verdict = files.read_verdict()
    params, settings = suggestion["params"], study.manifest["settings"]
    return TrialRecord(
        number=files.number,
        name=f"{study.name}-{files.number:04d}",
        params=DEFAULTS | params,
        sampled=suggestion["sampled"],
        epochs=params.get("epochs", 0),
        records=tuple(files.records()),
        status=verdict["status"] if verdict else UNFINISHED,
        failure=verdict["failure"] if verdict else None,
        command="" if study.refit else command_of(settings, suggestion["sampled"] or params),
    )


def command_of(settings: dict[str, Any], choices: dict[str, Any]) -> str:
    """Return the line that trains one configuration of the study again: the study's flags, with `choices` pinned."""
    words = ["segvote", "search", "--trials", "1"]
    for name in FLAGS_OF_A_TRIAL:
        if settings.get(name) is not None:
            words += [FLAGS[name], str(settings[name])]
    if settings.get("pretrained") is not None:
        words.append("--pretrained" if settings["pretrained"] else "--no-pretrained")
    pinned = dict(pair.partition("=")[::2] for pair in settings.get("fix") or [])
    said = {name for name in (*FLAGS_OF_A_TRIAL, "pretrained") if settings.get(name) is not None}
    pinned |= {key: str(value) for key, value in choices.items() if key not in said and value is not None}
    for key, value in pinned.items():
        words += ["--fix", f"{key}={value}"]
    return shlex.join(words)


def _rungs(settings: dict[str, Any], epochs: int, directory: Path) -> Sequence[int]:
    if settings.get("grid") or "space" not in settings or not epochs:  # a grid and a refit stop no trial
        return ()
    factor = settings.get("reduction_factor", 3.0)
    grace_period = settings.get("grace_period") or _grace_period_of_space(find_space(settings["space"], directory))
    scheduler = settings.get("scheduler", SCHEDULER_BEFORE)
    first = min(epochs, grace_period or default_grace_period(epochs, factor, scheduler))
    return [rung for rung in rungs(epochs, first, factor) if rung < epochs]


def _grace_period_of_space(name: str) -> int | None:
    try:
        return Space.load(name).grace_period
    except UserError:  # the file of a space of one's own may be elsewhere by now
        return None
