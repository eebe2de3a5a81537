"""The vote of a search and of `segvote ensemble`: select it, assess it, and keep it in a file and in MLflow."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import mlflow.exceptions
import numpy as np
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from ensembling import Predictions, PredictionsError, Selection, read_predictions, select_ensemble
from ensembling.assessment.assess import assess
from ensembling.assessment.diversity import mean_disagreement, measure_diversity
from ensembling.runs.candidates import Candidate, load_candidates
from ensembling.runs.describe import describe_ensemble
from ensembling.runs.ensemble import EnsembleRecord, ListedMember, PoolDiversity, read_ensemble, save_ensemble
from ensembling.runs.members import described_data
from ensembling.runs.tags import DIGEST, KIND, STUDY
from ensembling.scores import why_meaningless
from ensembling.selection.exhaustive import check_number
from ensembling.selection.options import Options, check_options
from ensembling.selection.shortlist import select_from_many
from search.commands.ensemble.memory_bound import MemoryBound
from search.commands.ensemble.options import RECORDED, EnsembleOptions
from search.report.end_of_search import recommendation
from search.report.ensemble_report import markdown, mean_of_others
from search.report.scene_words import scene_numbers
from search.study.study import Study
from search.tracking.store import default_tracking_uri
from search.tracking.study_result import log_result
from search.tracking.tracker import Tracker, metric_name
from trainables.data.batches.packed import file_sha256
from trainables.errors import UserError
from trainables.hardware.cores import usable_cores
from trainables.trial.files import TrialFiles
from trainables.trial.study_files import TRIALS, study_id

COMPARED = 20  # candidates of each kind that are compared
BATCH = 1000  # the most metrics that MLflow takes at once


def choose_vote(study: Study, tracker: Tracker, *, include_stopped: bool, max_members: int) -> EnsembleRecord | None:
    """Select the study's ensemble, write ensemble.json, and return it.

    Args:
        study: The study.
        tracker: The writer of its runs.
        include_stopped: Whether trials that were stopped before the last rung may vote.
        max_members: The most members of the ensemble.

    Returns:
        The record of the ensemble; None where no trial has predictions.

    Raises:
        UserError: Trials have predictions, but none of them can vote.
    """
    options = EnsembleOptions(
        studies=(study.name,),
        all_candidates=include_stopped,
        max_members=max_members,
        runs_dir=study.directory.parent,
        tracking_uri=_given_uri(tracker.client, study.directory.parent),
    )
    with reading_predictions():
        target = read_predictions(study.target_file)
        candidates, left_out = load_candidates(
            tracker.client, tracker.experiment_id, [tracker.parent_id], target, include_stopped=include_stopped
        )
    if left_out and not candidates:
        raise UserError(f"no trial can vote: {'; '.join(left_out)}")
    if not candidates:
        return None
    ensemble = replace(select_and_assess(candidates, target, options), left_out=tuple(left_out))
    if not _is_kept(study, ensemble):
        save_ensemble(study.ensemble_file, ensemble)
    return ensemble


def _is_kept(study: Study, ensemble: EnsembleRecord) -> bool:
    """Return whether ensemble.json holds the ensemble, as where the study was resumed after its end."""
    try:
        return _digest(read_ensemble(study.ensemble_file)) == _digest(ensemble)
    except UserError:  # there is none, or it is damaged
        return False


def _digest(ensemble: EnsembleRecord) -> str:
    """Return a hash of all but the command, which names the directory in which it was typed."""
    return hashlib.sha256(json.dumps(replace(ensemble, command="").to_json()).encode()).hexdigest()


def log_vote(study: Study, tracker: Tracker, ensemble: EnsembleRecord, plots: Sequence[Path]) -> None:
    """Log the result to the study's run and the ensemble as a run below it, unless they were logged, and the plots to
    both.
    """
    digest = _digest(ensemble)
    run_id = tracker.ensemble_run(digest)
    if run_id is None:  # its run comes last: where something fails before, all is logged when the study is resumed
        tracker.tag_members({member.trial for member in ensemble.members})
        tracker.describe_result(f"**{recommendation(ensemble)}**\n\n{markdown(ensemble)}")
        log_result(tracker.client, tracker.parent_id, study, ensemble)
        tags = {STUDY: study.name, MLFLOW_PARENT_RUN_ID: tracker.parent_id, DIGEST: digest}
        name, files = f"{study.name}-ensemble", [study.ensemble_file]
        run_id = log_ensemble(tracker.client, tracker.experiment_id, name, tags, ensemble, files)
    for path in plots:
        for run in (run_id, tracker.parent_id):
            tracker.client.log_artifact(run, str(path))


@contextmanager
def reading_predictions() -> Iterator[None]:
    """Raise UserError for errors of MLflow's runs and their files within the block."""
    try:
        yield
    except (PredictionsError, mlflow.exceptions.MlflowException) as error:
        raise UserError(f"the predictions cannot be used: {error}") from error


def _given_uri(client: MlflowClient, runs_dir: Path) -> str | None:
    return None if client.tracking_uri == default_tracking_uri(runs_dir) else client.tracking_uri


def select_and_assess(candidates: Sequence[Candidate], target: Predictions, options: EnsembleOptions) -> EnsembleRecord:
    """Select the candidates whose vote scores highest, assess the vote, and return its record.

    Raises UserError for a run that is no candidate, for impossible flags, and for labels against which scores are
    meaningless.
    """
    class_photos = target.photos_with_classes()
    if reason := why_meaningless(class_photos, target.class_names):
        raise UserError(f"the holdout cannot be scored, so nothing can be selected on it: {reason}")
    pixels, images = [candidate.predictions.pixels for candidate in candidates], target.group_of_pixels()
    problem, seed = (target.pixels, len(target.class_names)), options.seed
    selection = _select(candidates, target, images, options)
    assessment = assess(
        selection,
        pixels,
        *problem,
        images,
        seed=seed,
        threads=options.threads or usable_cores(),
        class_photos=class_photos,
        one_scene=len(target.grouped_ids()) == 1,
    )
    rows = [pixels[index] for index in selection.members]
    diversity = measure_diversity(rows, *problem, weights=selection.weights, seed=seed)
    described = describe_ensemble(selection, assessment, diversity, candidates, target, seed)
    data = described_data(options.runs_dir / described.members[0].study)
    return replace(
        described,
        **{**data, "class_names": described.class_names},
        **options.recorded(),
        members=with_weights(described.members, options.runs_dir),
        views=options.views.to_dict(),
        pool_diversity=pool_diversity([candidates[index] for index in selection.ranking], target),
        command=options.command(ended_by=max(candidate.ended for candidate in candidates)),
    )


def with_weights(members: Sequence[ListedMember], runs_dir: Path) -> tuple[ListedMember, ...]:
    """Return the members with the ids of their studies and the checksums of their weights, if below `runs_dir`."""
    return tuple(_with_weights(member, runs_dir / member.study) for member in members)


def _with_weights(member: ListedMember, study: Path) -> ListedMember:
    weights = TrialFiles(study / TRIALS / f"{member.trial:04d}").best_weights
    return replace(member, study_id=study_id(study), weights_sha256=file_sha256(weights) if weights.exists() else None)


def _select(
    candidates: Sequence[Candidate], target: Predictions, images: np.ndarray, options: EnsembleOptions
) -> Selection:
    problem = ([candidate.predictions.pixels for candidate in candidates], target.pixels, len(target.class_names))
    how = how_to_choose(candidates, options)
    means = {
        "threads": options.threads or usable_cores(),
        "memory_bytes": MemoryBound(options.memory, target.pixels.size).selection,
    }
    with _refusals_as_user_errors():
        if options.shortlist is None or options.shortlist >= len(candidates):
            return select_ensemble(*problem, image_ids=images, **vars(how), **means)
        listed = {"sizes": target.sizes, "shortlist": options.shortlist}
        return select_from_many(*problem, how, image_ids=images, **listed, **means)


def how_to_choose(candidates: Sequence[Candidate], options: EnsembleOptions) -> Options:
    """Return the options of the selection.

    Raises UserError for a run that is no candidate, and for flags that contradict each other.
    """
    how = Options(
        mode=options.mode,
        max_members=options.max_members,
        must_include=tuple(find_runs(candidates, options.must_include)),
        start=tuple(find_runs(candidates, options.start)),
        beam_width=options.beam_width,
        seed=options.seed,
    )
    with _refusals_as_user_errors():
        if options.mode == "exhaustive":
            check_number(min(len(candidates), options.shortlist or len(candidates)))
        return check_options(how, len(candidates))


@contextmanager
def _refusals_as_user_errors() -> Iterator[None]:
    """Raise UserError where an option does not fit the others or the number of candidates."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from error


def pool_diversity(ranked: Sequence[Candidate], target: Predictions) -> dict[str, PoolDiversity] | None:
    """Return how much two candidates differ that were trained with pseudo-labels, and two that were trained without.

    Training on the labels of one vote makes models alike. The best COMPARED candidates of each kind are compared pair
    by pair. Returns None where no candidate was trained with pseudo-labels.
    """
    kinds = {"with": [one for one in ranked if one.pseudo], "without": [one for one in ranked if not one.pseudo]}
    if not kinds["with"]:
        return None
    rows = {kind: [one.predictions.pixels for one in those[:COMPARED]] for kind, those in kinds.items()}
    return {
        kind: PoolDiversity(candidates=len(some), disagreement=float(mean_disagreement(some, target.pixels)))
        for kind, some in rows.items()
        if len(some) > 1
    }


def find_runs(candidates: Sequence[Candidate], asked: Sequence[str]) -> list[int]:
    """Return the indices of the candidates with these names or ids. Raises UserError for an unknown one or several."""
    indices = []
    for run in asked:
        found = [index for index, one in enumerate(candidates) if run in (one.run_id, one.name)]
        if len(found) > 1:
            ids = ", ".join(candidates[index].run_id for index in found)
            raise UserError(f"run {run} is the name of {len(found)} candidates: give one of their ids, {ids}")
        if not found:
            names = ", ".join(sorted(one.name for one in candidates)[:20])
            raise UserError(f"run {run} is no candidate; candidates are {names}")
        indices += found
    return indices


def log_ensemble(
    client: MlflowClient,
    experiment_id: str,
    name: str,
    tags: dict[str, str],
    ensemble: EnsembleRecord,
    files: Sequence[Path],
) -> str:
    """Log an ensemble with all its figures as an MLflow run of its own, and return the id of the run.

    Args:
        client: The client of the store.
        experiment_id: The experiment that holds the studies.
        name: The name of the run.
        tags: The tags of the run.
        ensemble: What is logged.
        files: The artifacts of the run.
    """
    tags = {**tags, KIND: "ensemble", MLFLOW_RUN_NAME: name, MLFLOW_RUN_NOTE: markdown(ensemble)}
    run_id = client.create_run(experiment_id, tags=tags, run_name=name).info.run_id
    status = "FAILED"
    try:
        _log(client, run_id, ensemble, files)
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)
    return run_id


def _log(client: MlflowClient, run_id: str, ensemble: EnsembleRecord, files: Sequence[Path]) -> None:
    counts = {"members": len(ensemble.members), "candidates": len(ensemble.candidates)}
    flags = {key: getattr(ensemble, key) for key in RECORDED}
    params = {**counts, **{key: " ".join(value) if isinstance(value, tuple) else value for key, value in flags.items()}}
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])
    metrics = list(ensemble_metrics(ensemble))
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])
    for path in files:
        client.log_artifact(run_id, str(path))


def ensemble_metrics(ensemble: EnsembleRecord) -> Iterator[Metric]:
    """Yield every figure that is shown. Curves over the number or the ranks of members have these as their steps."""
    single = {"holdout/miou": ensemble.miou, "crossfit/miou": ensemble.crossfit_miou}
    single |= {"optimism": ensemble.optimism, "holdout/miou_error": ensemble.miou_interval.standard_error}
    single |= {f"scenes/{key}": value for key, value in scene_numbers(ensemble.scenes).items()}
    if ensemble.without_rare:
        single["without_rare/miou"] = ensemble.without_rare.miou_interval.value
        single["without_rare/miou_error"] = ensemble.without_rare.miou_interval.standard_error
    if ensemble.crossfit_interval:
        single["crossfit/miou_error"] = ensemble.crossfit_interval.standard_error
    for kind in ("gains", "crossfit_gains"):
        for over, gain in (getattr(ensemble, kind) or {}).items():
            single |= {f"{kind}/{over}": gain.value, f"{kind}/{over}_error": gain.standard_error}
    single |= {f"baseline/{name}": miou for name, miou in ensemble.baselines.items()}
    single |= {f"holdout/iou/{name}": iou for name, iou in ensemble.iou.items()}
    curves = {name: [value] for name, value in single.items()}
    curves |= {"topk/miou": ensemble.topk_miou, "path/miou": ensemble.path_miou}
    for key in ("miou", "leave_one_out", "shapley", "shapley_error"):
        curves[f"member/{key}"] = [getattr(member, key) for member in ensemble.members]
    if len(ensemble.members) > 1:
        for key in ("disagreement", "kappa", "double_fault"):
            curves[f"member/{key}"] = mean_of_others(getattr(ensemble, key)).tolist()
    now = int(time.time() * 1000)
    for name, values in curves.items():
        for step, value in enumerate(values, start=int(len(values) > 1)):
            if value is not None:
                yield Metric(metric_name(name), float(value), now, step)
