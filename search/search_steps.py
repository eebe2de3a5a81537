"""The steps of a search up to its last trial, in the order in which run.py takes them.

PyTorch is imported by the few of them that need it alone: the trials train in other processes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlflow.exceptions import MlflowException
from rich.console import Console

from search.report.console import labelled, say, working
from search.report.durations import counted, duration
from search.report.scene_words import scene_numbers, scene_warnings, scenes_line
from search.screen.progress import Progress
from search.screen.screen import Screen
from search.study.settings import Settings, StudySettings
from search.study.space import Space, grid_points, make_space, repeats
from search.study.study import Study
from search.study.trial_end import holdout_masks, write_target
from search.tracking.store import connect, default_tracking_uri, explain_failure
from search.tracking.tracker import Tracker
from search.tracking.wandb_mirror import open_mirror
from search.tuning.cluster.resources import Resources, cluster_share, trials_side_by_side
from search.tuning.cluster.start_ray import start_ray
from search.tuning.plan import Plan
from search.tuning.searchers.other_studies import describe
from search.tuning.searchers.suggestion import Suggestion
from search.tuning.tuner import StudyTuner
from trainables.config import FOLD_ALL, TrialConfig
from trainables.data import Dataset
from trainables.data.scenes import Overlap
from trainables.errors import UserError
from trainables.pretrained_files import check_weights
from trainables.study_data import StudyData
from trainables.trial.study_files import MANIFEST

SHOWN_SUGGESTIONS = 3  # by a dry run
PROBED_SUGGESTIONS = 8  # of which training steps are timed
INTERRUPTED = 130
NO_GAIN_SHOWN = (
    "In simulated searches, --learn-from saved two fifths of the epochs with --scheduler stop, and none with promotion "
    "(docs/benchmarks.md)."
)


def make_plan(study: Study, settings: Settings, console: Console) -> Plan:
    """Start or join Ray, and return what runs where. Raises UserError where the study cannot be run as asked."""
    space = make_space(settings)
    points = grid_points(space, settings.grid, repeats(settings))
    suggestions = [Suggestion(number, params) for number, params in enumerate(points, start=1)]
    configs = [TrialConfig.from_dict(params) for params in points or [space.first()]]
    for config in configs:
        study.data.splits.fold_rows(config.fold)
    _check_one_length(space, configs)
    resources = start_cluster(settings, console, settings.trials)
    return Plan(study, settings, space, suggestions, configs, resources)


def start_cluster(settings: StudySettings, console: Console, trials: int | None) -> Resources:
    """Start or join Ray, unless that was done already, and return what each trial gets of it.

    `trials` is how many there are in all; None where that is not known yet.
    """
    with working(console, "Starting Ray …"):
        side_by_side = trials_side_by_side(settings, trials)
        start_ray(settings.address, trials=side_by_side, on_gpus=settings.gpus_per_trial != 0)
        return cluster_share(
            concurrency=settings.concurrency,
            gpus_per_trial=settings.gpus_per_trial,
            cpus_per_trial=settings.cpus_per_trial,
            elastic=settings.address is not None,
        )


def _check_one_length(space: Space, configs: list[TrialConfig]) -> None:
    if "epochs" in space.choices and "epochs" not in space.fixed:
        raise UserError(
            f"space {space.name} varies epochs, but ASHA compares trials of one length: pin it with --epochs"
        )
    if len({config.epochs for config in configs}) > 1:
        raise UserError("--grid epochs: ASHA compares trials of one length; run one study per number of epochs")


def show_plan(plan: Plan, dataset: Dataset, console: Console) -> None:
    """Show the data set, its splits and the resources; in a dry run the first configurations, and how long a CPU takes.

    Raises UserError where pretrained weights are missing.
    """
    study, settings, splits = plan.study, plan.settings, plan.study.data.splits
    labelled(console, "study", f"{study.name} in {study.directory}")
    labelled(console, "data", dataset.summary)
    labelled(
        console,
        "splits",
        f"{len(splits.holdout)} photos in the holdout, {sum(map(len, splits.folds))} for training in "
        f"{len(splits.folds)} folds, {len(splits.test)} in the test",
    )
    show_scenes(study.overlap, console)
    show_pseudo(study.data, console)
    _show_search(plan, console)
    labelled(console, "resources", str(plan.resources))
    first = _first_suggestions(plan)
    _check_all_weights(plan, console)
    if settings.dry_run:
        _show_suggestions(first[:SHOWN_SUGGESTIONS], console)
    if not plan.resources.gpus and settings.dry_run:
        configs = [suggestion.config for suggestion in first]
        _show_cpu_time(plan, configs if plan.suggestions else [*plan.configs, *configs], console)
    elif not plan.resources.gpus:
        say(
            console,
            f"{_no_gpu(plan)}: trials train on CPU cores. How long the search takes is shown after its first steps, "
            f"and by --dry-run before it begins. {what_if_too_long(plan.space.name)}",
        )


def _show_search(plan: Plan, console: Console) -> None:
    """Show what is searched and in how many trials, whether anything varies at all, and what other studies taught."""
    labelled(console, "space", f"{plan.space.name}: {_trials_in_words(plan)}")
    if not (plan.suggestions or plan.space.varies or plan.trials == 1):
        say(
            console,
            f"Nothing is left to search: space {plan.space.name}, as the flags pin it, makes {plan.trials} trials of "
            "one configuration. --trials 1 trains it once; --grid seed=0,1,2 trains it with three seeds.",
            style="yellow",
        )
    if plan.study.learnt:
        labelled(console, "learnt", describe(plan.study.learnt))
        if plan.settings.scheduler == "promote":
            say(console, NO_GAIN_SHOWN)


def _no_gpu(plan: Plan) -> str:
    return "No GPU was asked for" if plan.settings.gpus_per_trial == 0 else "No GPU was found"


def what_if_too_long(space: str) -> str:
    """Return what to do where a search of this space takes too long without a GPU."""
    return "Ctrl-C stops it." if space == "quickstart" else "Ctrl-C stops it; --space quickstart is made for a CPU."


def _trials_in_words(plan: Plan) -> str:
    trials = counted(plan.trials, "trial", "trials")
    epochs = counted(plan.epochs, "epoch", "epochs")
    if plan.suggestions:
        factors = ", ".join(key.partition("=")[0] for key in plan.settings.grid)
        return f"{trials} of up to {epochs}, the points of a grid over {factors}"
    if plan.grace_period >= plan.epochs:
        return f"{trials} of {epochs}, {'to its end' if plan.trials == 1 else 'all to their end'}"
    if plan.trials == 1:
        return f"{trials} of {epochs}"
    if plan.settings.scheduler == "promote":
        how = "which pause at certain epochs (rungs), the first after epoch {}; the best of them go on"
    else:
        how = "of which the weak ones are stopped from epoch {} on"
    return f"{trials} of up to {epochs}, {how.format(plan.grace_period)}"


def show_scenes(overlap: Overlap | None, console: Console) -> None:
    """Show what training and holdout share, and in yellow what that means for the score."""
    if overlap is None:
        return
    labelled(console, "scenes", scenes_line(overlap))
    for words in scene_warnings(overlap):
        say(console, words, style="yellow")


def show_pseudo(data: StudyData, console: Console) -> None:
    """Show how many photos with pseudo-labels are trained on, and with which weight; nothing where there are none."""
    if data.pseudo:
        photos, weight = len(data.pseudo.rows), data.pseudo.weight
        labelled(console, "pseudo", f"{photos} photos of {data.pseudo.root} in training alone, at weight {weight:g}")


def _first_suggestions(plan: Plan) -> list[Suggestion]:
    """Return what is tried first; all points of a grid. Raises UserError where the search could suggest nothing."""
    return plan.suggestions or StudyTuner.first_suggestions(plan, min(plan.trials, PROBED_SUGGESTIONS))


def _show_suggestions(suggestions: list[Suggestion], console: Console) -> None:
    for suggestion in suggestions:
        values = ", ".join(f"{key}={value}" for key, value in suggestion.params.items())
        say(console, f"trial {suggestion.number}: {values}")


def _show_cpu_time(plan: Plan, configs: list[TrialConfig], console: Console) -> None:
    with working(console, "Timing training steps …"):
        from search.tuning.cpu_time import study_seconds  # with PyTorch

        seconds = study_seconds(
            configs,
            num_classes=plan.study.data.num_classes,
            images=plan.study.data.photos_per_epoch(FOLD_ALL),
            trials=plan.trials,
            concurrency=plan.resources.concurrency,
        )
    say(
        console,
        f"{_no_gpu(plan)}. On these CPU cores the search takes about {duration(seconds)} if no trial is stopped "
        f"early, going by single steps of {'these' if plan.suggestions else 'its first'} configurations."
        + (f" {what_if_too_long(plan.space.name)}" if seconds > 3600 else ""),
    )


def _check_all_weights(plan: Plan, console: Console) -> None:
    """Raise UserError for weights that no node can load, here once rather than in every trial."""
    configs = plan.configs
    choice = plan.space.choices.get("backbone")
    varied = choice.values if choice and not plan.suggestions and "backbone" not in plan.space.fixed else ()
    backbones = dict.fromkeys([*(config.backbone for config in configs), *varied])
    if configs[0].init_from:
        _show_initial_weights(configs[0], list(backbones), console)
        return
    if not any(config.pretrained for config in configs):
        return
    for backbone in backbones:
        with working(console, f"Looking for the weights of {backbone} …"):
            check_weights(backbone, configs[0].weights_dir)


def _show_initial_weights(config: TrialConfig, backbones: list[str], console: Console) -> None:
    """Show what of --init-from goes into the backbone. Raises UserError where it does not fit in all trials."""
    if len(backbones) > 1:
        raise UserError(
            f"{config.init_from} is the checkpoint of one backbone, but the trials have {', '.join(backbones)}: "
            f"pin it, as with --fix backbone={backbones[0]}"
        )
    with working(console, f"Reading {config.init_from} …"):
        from trainables.models import build_model  # with PyTorch
        from trainables.models.pretrained.checkpoints import load_checkpoint

        model = build_model(
            head=config.head,
            backbone=config.backbone,
            num_classes=2,
            pretrained=False,
            image_size=config.size,
        )
        report = load_checkpoint(model.backbone.model, config.init_from, allow_partial=config.init_partial)
    labelled(console, "initial weights", report.summary())


@contextmanager
def claimed(plan: Plan) -> Iterator[None]:
    """Return a context in which the study has its name and its directory, and no other command can run it.

    Nothing of a new study is written before this: a search that was refused until here leaves no files.
    """
    study = plan.study
    with study.claimed(resume=plan.settings.resume):
        if study.data.scored and not study.target_file.exists():
            packed = study.data.open(plan.configs[0].size)
            write_target(study, packed, holdout_masks(study, packed))
        yield


@contextmanager
def tracked(plan: Plan) -> Iterator[Tracker]:
    """Return a context that yields the writer to MLflow; whatever happens, the runs end with their true status."""
    study, settings = plan.study, plan.settings
    uri = settings.tracking_uri or default_tracking_uri(settings.runs_dir)
    place: dict[str, Any] = {"kind": "refit", "under": study.refit["run_id"]} if study.refit else {}
    if settings.wandb:
        place["mirror"] = open_mirror(study.name, study.id, study.directory / "wandb")
    tracker = Tracker(*connect(uri, settings.runs_dir), study.name, study.id, **place)
    try:
        try:
            files = [study.directory / MANIFEST, *([study.target_file] if study.data.scored else [])]
            tracker.describe_study(_study_params(plan), files)
            yield tracker
        except BaseException as error:
            tracker.final_status = "KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED"
            raise
        finally:
            try:
                tracker.end_study()
            except MlflowException:
                if tracker.final_status != "KILLED":
                    raise  # who stops a search is told how to go on with it, and that brings MLflow up to date, too
    except MlflowException as error:
        raise explain_failure(error, uri) from error


def _study_params(plan: Plan) -> dict[str, Any]:
    data = plan.study.data
    made_of = {key: value for key, value in plan.settings.lasting().items() if value not in (None, [])}
    if data.pseudo:
        made_of |= {"pseudo_fingerprint": data.pseudo.fingerprint, "pseudo_images": len(data.pseudo.rows)}
    else:
        del made_of["pseudo_weight"]
    if data.edits:
        made_of["edits_fingerprint"] = ", ".join(one.edits.fingerprint[:12] for one in data.edits)
    if plan.study.learnt:
        made_of["learnt_trials"] = sum(len(study["trials"]) for study in plan.study.learnt)
    return {
        **made_of,
        "data_fingerprint": data.fingerprint,
        "num_classes": data.num_classes,
        "holdout_images": len(data.splits.holdout),
        "training_images": sum(map(len, data.splits.folds)),
        "code_version": plan.study.manifest["code_version"],
        "trials_planned": plan.trials,
        "rungs": " ".join(map(str, plan.rungs)),
        **{f"{name}_scenes": number for name, number in scene_numbers(plan.study.overlap).items()},
    }


@contextmanager
def running_screen(plan: Plan, console: Console) -> Iterator[Screen]:
    """Return a context that yields the screen of the running search."""
    data = plan.study.data
    kept = None if not data.scored else "last" if data.keep_last else "best"
    progress = Progress(plan.trials, plan.epochs, kept=kept, rungs=plan.rungs, budget_s=plan.settings.time_budget)
    with Screen(progress, console, plan.study.name) as screen:
        yield screen


def say_how_to_resume(plan: Plan, command: str, tracker: Tracker, console: Console) -> int:
    """Print how to go on with a search that was stopped, and return its exit code; its run ends as KILLED.

    `command` is the command line that was typed.
    """
    tracker.final_status = "KILLED"
    say(console, f"Stopped. Every finished epoch is kept; go on with:\n    {resuming(command, plan.study.name)}")
    return INTERRUPTED


def resuming(command: str, name: str) -> str:
    """Return the command line that resumes the study that `command` began or resumed."""
    resume = command if "--resume" in command else f"{command} --resume"
    return resume if "--name" in command else f"{resume} --name {name}"


def say_what_broke(plan: Plan, tuner: StudyTuner, console: Console) -> None:
    """Print how many trials failed because of the machine, and how to go on with them; nothing where none did."""
    if tuner.broken:
        trials = counted(len(tuner.broken), "trial", "trials")
        left = f", and {counted(tuner.not_begun, 'was', 'were')} not begun" if tuner.not_begun else ""
        say(
            console,
            f"{trials} failed for reasons that are not the configuration's{left}: "
            f"{_reasons(tuner.broken)}. The logs in {plan.study.trials_dir} may say more. Once that is repaired, the "
            f"same command with --resume --name {plan.study.name} goes on with all that have not ended",
            style="yellow",
        )


def _reasons(broken: dict[int, str]) -> str:
    """Return each reason once, after the numbers of its trials."""
    trials: dict[str, list[int]] = {}
    for number, reason in sorted(broken.items()):
        trials.setdefault(reason, []).append(number)
    return "; ".join(f"trial {', '.join(map(str, numbers))}: {reason}" for reason, numbers in trials.items())


def say_what_was_not_suggested(plan: Plan, tuner: StudyTuner, console: Console) -> None:
    """Print which suggestions of the space could not be used, and how many trials were not begun for that reason."""
    for reason in tuner.bad_suggestions:
        say(console, f"A suggestion of space {plan.space.name} could not be used: {reason}", style="yellow")
    if tuner.not_suggested:
        say(
            console,
            f"{tuner.not_suggested} of the {plan.trials} trials were not begun, since suggest(trial) of space "
            f"{plan.space.name} went on failing. Mend it; the same command with --resume --name {plan.study.name} "
            "begins them",
            style="yellow",
        )
