"""`segvote ensemble`: the best vote among the trials of studies in MLflow, whoever ran them and when."""

import dataclasses
import re
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from rich.console import Console

from ensembling import Predictions, check_same_holdout, hard_vote, with_joined_groups
from ensembling.memory_budget import Budget
from ensembling.runs.candidates import Candidate, load_candidates, load_target
from ensembling.runs.ensemble import EnsembleRecord, save_ensemble
from ensembling.runs.tags import KIND, STUDY, STUDY_ID
from ensembling.scores import confusion_matrix, miou
from search.commands.ensemble.memory_bound import MemoryBound
from search.commands.ensemble.options import EnsembleOptions
from search.commands.ensemble.record import how_to_choose, log_ensemble, reading_predictions, select_and_assess
from search.commands.ensemble.tta import effect_of_views, with_views
from search.report.bars import Bars
from search.report.console import say, working
from search.report.dispensable import dispensable
from search.report.ensemble_plots import plot_ensemble
from search.report.ensemble_report import show_candidates, show_ensemble
from search.tracking.store import open_store
from trainables.errors import UserError, nearest
from trainables.trial.study_files import ENSEMBLE_FILE, find_study, study_id

PARAMETER = re.compile(r"params\.(?:`([^`]+)`|\"([^\"]+)\"|(\w+))")  # in MLflow's filters


def run_ensemble(options: EnsembleOptions, name: str | None, out: Path | None, console: Console) -> EnsembleRecord:
    """Select an ensemble, show it, write it and log it to MLflow, and return its record.

    Args:
        options: Which runs may vote, and how members are chosen.
        name: The name of the ensemble and of its run.
        out: The directory of ensemble.json; None for one below the runs directory.
        console: Where to print.

    Raises:
        UserError: A study is not known, studies do not fit together, or no trial can vote.
    """
    client, experiment_id = open_store(options.tracking_uri, options.runs_dir)
    _check_filter(client, experiment_id, options.where)
    studies = find_studies(client, experiment_id, options.studies, options.runs_dir)
    if not options.mixed_edits:
        _check_same_edits(studies)
    name = name or f"ensemble-{time.strftime('%Y%m%d-%H%M%S')}"
    directory = _new_directory(out or options.runs_dir / "ensembles" / name)
    with working(console, "Reading predictions …"), reading_predictions():
        target = _common_target(client, studies, console)
        budget = Budget(MemoryBound(options.memory, target.pixels.size).maps)
        candidates, left_out = load_candidates(
            client,
            experiment_id,
            [run.info.run_id for run in studies],
            target,
            where=options.where,
            include_stopped=options.all_candidates,
            budget=budget,
        )
    if left_out and not candidates:
        raise UserError(f"no trial can vote: {'; '.join(left_out)}")
    if options.where and not candidates:
        _check_params(client, experiment_id, studies, options.where)
    candidates = _good_enough(_where_they_lie(candidates, studies, options.runs_dir), target, options)
    how_to_choose(candidates, options)  # options are refused before the views are predicted, which takes long
    scored = candidates
    if not options.views.plain:
        candidates = _with_views(candidates, target, options, budget, console)
    with working(console, f"Choosing among {len(candidates)} candidates …"):
        ensemble = dataclasses.replace(select_and_assess(candidates, target, options), left_out=tuple(left_out))
    if not options.views.plain:
        effect = effect_of_views(ensemble.members, scored, candidates, target)
        ensemble = dataclasses.replace(ensemble, effect_of_views=effect)
    directory.mkdir(parents=True, exist_ok=True)
    save_ensemble(directory / ENSEMBLE_FILE, ensemble)
    show_candidates(console, ensemble)
    show_ensemble(console, ensemble)
    say(console, f"ensemble  {directory / ENSEMBLE_FILE}")
    files = [directory / ENSEMBLE_FILE]
    with dispensable("The plots could not be drawn", ensemble.command, directory, console):
        files += plot_ensemble(ensemble, directory)
    with dispensable("The ensemble could not be logged to MLflow", ensemble.command, directory, console):
        log_ensemble(client, experiment_id, name, {STUDY: " ".join(options.studies)}, ensemble, files)
        say(console, f"MLflow    run {name}")
    return ensemble


def _check_filter(client: MlflowClient, experiment_id: str, where: str) -> None:
    """Raise UserError where MLflow does not understand the filter."""
    try:
        client.search_runs([experiment_id], where, max_results=1)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise UserError(
            f"--where {where!r} is no filter that MLflow understands ({error}): write it as in "
            "--where \"params.head = 'unet' and metrics.`train/loss` < 1\""
        ) from error


def _check_params(client: MlflowClient, experiment_id: str, studies: Sequence[Run], where: str) -> None:
    """Raise UserError where the filter, which no trial passes, names a parameter that no trial has."""
    parents = {study.info.run_id for study in studies}
    runs = client.search_runs([experiment_id], f"tags.`{KIND}` = 'trial'", max_results=50000)
    known = {key for run in runs if run.data.tags.get(MLFLOW_PARENT_RUN_ID) in parents for key in run.data.params}
    for name in filter(None, chain.from_iterable(PARAMETER.findall(where))):
        if name not in known:
            raise UserError(f"--where {where!r}: no trial has a parameter {name}{nearest(name, known)}")


def _with_views(
    candidates: Sequence[Candidate],
    target: Predictions,
    options: EnsembleOptions,
    budget: Budget,
    console: Console,
) -> list[Candidate]:
    """Return the candidates with the class maps that they predict with the views that were asked for."""
    with Bars(console) as bars, reading_predictions():
        bar = bars.add(f"predicting the holdout with {options.views}", len(candidates))
        again = []
        for candidate in with_views(candidates, target, options):
            again.append(candidate.kept_in(budget))
            bar(len(again))
    return again


def find_studies(client: MlflowClient, experiment_id: str, names: Sequence[str], runs_dir: Path) -> list[Run]:
    """Return the studies' parent runs in the order of `names`.

    Args:
        client: The client of the store.
        experiment_id: The experiment that holds the studies.
        names: Names of studies, or ids of their runs. A study is found by the name of its directory as well.
        runs_dir: The runs directory.

    Raises:
        UserError: A study is unknown, with the names of the known ones; or several have one name, with the ids of their
            runs.
    """
    runs = client.search_runs([experiment_id], f"tags.`{KIND}` = 'study'", max_results=50000)
    found = {name: _runs_called(name, runs, study_id(runs_dir / name)) for name in names}
    unknown = [name for name in found if not found[name]]
    if unknown or not names:
        wrong = f"unknown study {', '.join(unknown)}" if unknown else "no study is named"
        known = ", ".join(sorted({run.data.tags[STUDY] for run in runs})) or "none yet"
        raise UserError(f"--studies: {wrong}; MLflow knows {known} (--runs-dir is {runs_dir})")
    for name, those in found.items():
        if len(those) > 1:
            ids = ", ".join(run.info.run_id for run in those)
            raise UserError(f"--studies: {len(those)} studies are named {name}: give the id of one's run, {ids}")
    return list({those[0].info.run_id: those[0] for those in found.values()}.values())  # each study once


def _runs_called(name: str, runs: Sequence[Run], identity: str | None) -> list[Run]:
    """Return the run of the study with this id where there is one, else the runs with the name or the id `name`."""
    same = [run for run in runs if identity and run.data.tags.get(STUDY_ID) == identity]
    return same or [run for run in runs if name in (run.data.tags[STUDY], run.info.run_id)]


def _where_they_lie(candidates: list[Candidate], studies: Sequence[Run], runs_dir: Path) -> list[Candidate]:
    """Return the candidates with the current names of the directories of their studies, which may have been renamed."""
    tags = [run.data.tags for run in studies]
    found = {one[STUDY]: find_study(one[STUDY], one.get(STUDY_ID), [runs_dir]) for one in tags}
    names = {name: directory.name for name, directory in found.items() if directory}
    return [dataclasses.replace(one, study=names.get(one.study, one.study)) for one in candidates]


def _new_directory(directory: Path) -> Path:
    if (directory / ENSEMBLE_FILE).exists():
        raise UserError(f"there is an ensemble in {directory}: choose another --name or --out")
    if not next(path for path in (directory, *directory.parents) if path.exists()).is_dir():
        raise UserError(f"{directory} cannot be created, because a file is in its place: choose another --out")
    return directory


def _check_same_edits(studies: Sequence[Run]) -> None:
    """Raise UserError, naming two studies, where trials were trained on labels that were corrected in other ways."""
    first, *others = studies
    for other in others:
        if _edits(other) != _edits(first):
            named = " and ".join(
                f"{one.info.run_name} with {f'the edits {_edits(one)}' if _edits(one) else 'none'}"
                for one in (first, other)
            )
            raise UserError(
                f"--studies: trials were trained with different edits of the labels, {named}. Where the holdout's "
                "labels are the same they may vote together: say --mixed-edits if that is meant"
            )


def _edits(study: Run) -> str:
    """Return the fingerprints of the edits that trials of a study were trained with, none for labels as they are."""
    return ", ".join(sorted(filter(None, study.data.params.get("edits_fingerprint", "").split(", "))))


def _common_target(client: MlflowClient, studies: Sequence[Run], console: Console) -> Predictions:
    """Return the one holdout of all studies; photos that any of them keeps together are one group of it.

    Raises PredictionsError that names two studies where the holdouts differ.
    """
    target = load_target(client, studies[0])
    for study in studies[1:]:
        other = load_target(client, study)
        check_same_holdout(
            target,
            other,
            first_name=f"the holdout of study {studies[0].info.run_name}",
            second_name=f"that of study {study.info.run_name}",
        )
        joined = with_joined_groups(target, other)
        if len({len(one.grouped_ids()) for one in (target, other, joined)}) > 1:
            say(
                console,
                f"The studies {studies[0].info.run_name} and {study.info.run_name} found different scenes in the "
                "holdout: photos that either keeps together are kept together in cross-fit and intervals.",
            )
        target = joined
    return target


def _good_enough(candidates: list[Candidate], target: Predictions, options: EnsembleOptions) -> list[Candidate]:
    """Return the candidates that score at least `min_miou` on the holdout. Raises UserError where none is left."""
    if options.min_miou is not None:
        candidates = [one for one in candidates if _own_miou(one, target) >= options.min_miou]
    if not candidates:
        filters = [f"--where {options.where!r}"] * bool(options.where)
        filters += [f"--min-miou {options.min_miou}"] * (options.min_miou is not None)
        raise UserError(
            f"no trial of {', '.join(options.studies)} has predictions"
            + (f" and passes {' and '.join(filters)}" if filters else ": wait for one to end")
        )
    return candidates


def _own_miou(candidate: Candidate, target: Predictions) -> float:
    num_classes = len(target.class_names)
    alone = hard_vote(candidate.predictions.pixels[None], num_classes)
    return miou(confusion_matrix(alone, target.pixels, num_classes))
