"""The steps of a refit up to its first trial, in the order in which the refit command takes them."""

import dataclasses
from pathlib import Path

from mlflow.tracking import MlflowClient
from rich.console import Console

from ensembling.runs.members import Ensemble, open_ensemble
from search.commands.refit.models import Original, describe_refit, refit_models
from search.prepare import edited_data, packed_data, pseudo_data
from search.report.console import labelled, say, working
from search.report.durations import counted
from search.search_steps import show_pseudo, start_cluster
from search.study.checked_data import checked_data
from search.study.data_place import BUILT_IN
from search.study.settings import RefitSettings
from search.study.study import (
    Study,
    check_same_data,
    new_study,
    open_study,
)
from search.study.trial_end import check_holdout
from search.tracking.ensemble_run import find_run
from search.tracking.store import check_places, connect, default_tracking_uri
from search.tuning.plan import Plan
from search.tuning.searchers.suggestion import Suggestion
from trainables.config import TrialConfig, parse_size
from trainables.data import Dataset, Splits, make_splits
from trainables.data.edits import Edits, edit_whole
from trainables.data.scenes import find_scenes
from trainables.errors import UserError
from trainables.pretrained_files import check_weights


def prepare(settings: RefitSettings, console: Console) -> tuple[Study, RefitSettings]:
    """Return the study of the refit, new or resumed, and `settings` with its data.

    The photos are checked and decoded.
    """
    check_places(settings.tracking_uri, settings.runs_dir)
    if settings.resume:
        study = open_study(settings)
        root = Path(settings.data) if settings.data not in (None, BUILT_IN) else study.data.root
        dataset = edit_whole(checked_data(root, settings, console), [one.edits for one in study.data.edits])
        pseudo = pseudo_data(dataset, study.data.splits, _sizes(study.refit["models"]), settings, console)
        check_same_data(study, dataset, pseudo)
        study = study.with_data_in(dataset.root, pseudo.root if pseudo else None)
    else:
        study, dataset, settings = _new(settings, console)
    for size in _sizes(study.refit["models"]):
        packed = packed_data(dataset, size, settings, console)
    if study.data.scored:
        check_holdout(study, packed)
    return study, settings


def _new(settings: RefitSettings, console: Console) -> tuple[Study, Dataset, RefitSettings]:
    with working(console, "Looking for the members …"):
        ensemble = open_ensemble(settings.ensemble, settings.runs_dir, lambda: _client(settings)[0])
        originals = [Original.of(member, settings.cache_dir) for member in ensemble.members]
    first = originals[0].study
    own = settings.data is not None  # it may be the members' data set with labels that were added since
    data = settings.data or str(first.data.root)
    files = {} if own else {"train_json": first.data.train_json, "val_json": first.data.val_json}
    settings = dataclasses.replace(settings, data=data, unlabelled=first.data.unlabelled, **files)
    dataset = checked_data(Path(data), settings, console)
    edits = _edits(originals)
    edited = edit_whole(dataset, edits) if not own else _edited_copy(dataset, edits, first)
    if edited is None:
        names = ", ".join(one.name for one in edits)
        say(console, f"--data {data} holds other labels than the members had: {names} is not applied to them")
        originals, edits = [one.without_edits() for one in originals], []
    else:
        dataset = edited
    _check_classes(dataset, ensemble)
    if not own:
        check_same_data(first, dataset)
    splits = refit_splits(dataset, first, keep_holdout=settings.keep_holdout)
    sizes = sorted({original.member.config.size for original in originals})
    edits = [edited_data(dataset, one, splits, sizes, settings, console) for one in edits]
    group_by = first.manifest["settings"].get("group_by")
    pseudo = pseudo_data(dataset, splits, sizes, settings, console, group_by)
    dropped = {one.edits.name: one.dropped for one in edits}

    def photos(edits: str) -> int:
        rows = set(splits.training_rows("all")).difference(dropped.get(edits, ()))
        return len(rows) + (len(pseudo.rows) if pseudo else 0)

    models = refit_models(originals, photos=photos, seeds=settings.seeds, weights_dir=settings.weights_dir)
    name = ensemble.name if Path(settings.ensemble).exists() else settings.ensemble
    run_id = find_run(ensemble, settings.ensemble, lambda: _client(settings))
    refit = describe_refit(name, run_id, ensemble, models)
    return new_study(settings, dataset, splits, pseudo, refit, edits=edits), dataset, settings


def _edits(originals: list[Original]) -> list[Edits]:
    """Return the corrections of labels that the members were trained with. Raises UserError where two of one name
    differ.
    """
    found: dict[str, Edits] = {}
    for original in originals:
        data = original.study.data
        own = data.edits_named(original.member.config.edits)
        for one in [each.edits for each in data.edits if each is own or each.edits.apply_to_holdout]:
            if found.setdefault(one.name, one) != one:
                raise UserError(
                    f"members were trained with different edits named {one.name}: refit them in separate commands"
                )
    return list(found.values())


def _edited_copy(dataset: Dataset, edits: list[Edits], first: Study) -> Dataset | None:
    """Return the data set of --data with the edits of its holdout, if it is the members' own in another place.

    Return None where there are edits and its labels are others, which may have been corrected since.
    """
    if not edits:
        return dataset
    try:
        edited = edit_whole(dataset, edits)
    except UserError:  # a rule matches nothing there
        return None
    return edited if edited.fingerprint == first.data.fingerprint else None


def _sizes(models: list[dict]) -> list[tuple[int, int]]:
    return sorted({parse_size(model["params"]["image_size"]) for model in models})


def _check_classes(dataset: Dataset, ensemble: Ensemble) -> None:
    if dataset.class_names != ensemble.class_names:
        differing = sorted(set(dataset.class_names) ^ set(ensemble.class_names)) or ["the order"]
        raise UserError(
            f"{dataset.root} has other classes than the ensemble {ensemble.name} votes for "
            f"({', '.join(differing)}): give --data the categories that its members were trained on"
        )


def refit_splits(dataset: Dataset, before: Study, *, keep_holdout: bool) -> Splits:
    """Return splits with all labelled photos of train.json and val.json in one fold and, unless it is kept, no holdout.

    The holdout that is kept is the one of the study `before`, or, for another data set, one that is made in the same
    way.
    """
    kept = Splits((), (), (), before.data.splits.seed)
    if keep_holdout and dataset.fingerprint == before.data.fingerprint:
        kept = before.data.splits
    elif keep_holdout:
        made = before.manifest["settings"]
        how = {key: made[key] for key in ("folds", "holdout_fraction", "seed") if key in made}
        scenes = find_scenes(dataset, group_by=made.get("group_by"), cache_dir=before.data.cache_dir)
        kept = make_splits(dataset, **how, scenes=scenes, whole_scenes=made.get("holdout") == "scenes")
    rows = {*dataset.rows("train"), *dataset.rows("val")} - set(kept.holdout)
    everything = (tuple(sorted(rows)),)
    return Splits(kept.holdout, everything, dataset.rows("test"), before.data.splits.seed, kept.holdout_groups)


def _client(settings: RefitSettings) -> tuple[MlflowClient, str]:
    return connect(settings.tracking_uri or default_tracking_uri(settings.runs_dir), settings.runs_dir)


def make_plan(study: Study, settings: RefitSettings, console: Console) -> Plan:
    """Return the plan of the refit, after Ray was started or joined and the weights to start from were found."""
    suggestions = [Suggestion(number, model["params"]) for number, model in enumerate(study.refit["models"], start=1)]
    configs = [suggestion.config for suggestion in suggestions]
    _check_start(configs, console)
    resources = start_cluster(settings, console, len(suggestions))
    return Plan(study, settings, None, suggestions, configs, resources)


def _check_start(configs: list[TrialConfig], console: Console) -> None:
    """Raise UserError where the weights that a model starts from are missing.

    This is checked once before the refit begins rather than in every trial.
    """
    for init_from in dict.fromkeys(config.init_from for config in configs if config.init_from):
        if not Path(init_from).is_file():
            raise UserError(f"{init_from}, which members were started from, is missing: restore it")
    pretrained = [config for config in configs if config.pretrained and not config.init_from]
    for backbone, weights_dir in dict.fromkeys((config.backbone, config.weights_dir) for config in pretrained):
        with working(console, f"Looking for the weights of {backbone} …"):
            check_weights(backbone, weights_dir)


def show_plan(plan: Plan, console: Console) -> None:
    """Print which models are trained again, on how many photos and for how many epochs."""
    study, data = plan.study, plan.study.data
    labelled(console, "refit", f"{study.name} in {study.directory}, of the ensemble {study.refit['ensemble']}")
    left_out = f"{len(data.splits.holdout)} holdout" if data.scored else "none left for validation"
    labelled(console, "data", f"{data.root}: {len(data.splits.training_rows('all'))} training images, {left_out}")
    show_pseudo(data, console)
    for number, model in enumerate(study.refit["models"], start=1):
        params, epochs = model["params"], counted(model["params"]["epochs"], "epoch", "epochs")
        labelled(
            console,
            f"trial {number}",
            f"{model['member']}, seed {params['seed']}, {epochs} (the member's best was epoch {model['best_epoch']})",
        )
    labelled(console, "resources", str(plan.resources))
