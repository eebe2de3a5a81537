"""The data of a study: checked, split, and decoded into this node's cache, with its pseudo-labels if there are any."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bar

from search.report.absent_classes import absent_classes
from search.report.bars import Bars
from search.report.console import say, working
from search.report.scenes import scene_progress, scenes_of
from search.study.checked_data import check_trainable, checked_data, show_problems
from search.study.edits import asked_edits
from search.study.settings import Settings, StudySettings
from search.study.space import make_space
from search.study.study import Study, check_same_data, new_study, open_study
from search.study.trial_end import check_holdout
from search.tracking.store import check_places
from search.tuning.searchers.other_studies import read_other_studies
from trainables.config import TrialConfig
from trainables.data import Dataset, PackedData, Splits, load_pseudo, make_splits, pack
from trainables.data.edits import Counts, Edits, apply_edits, edit_whole
from trainables.data.sample.dataset import write_sample
from trainables.data.scenes import Apart, rows_apart
from trainables.errors import UserError
from trainables.study_data import PseudoData, StudyEdits


def prepare_data(settings: Settings, dataset: Dataset | None, console: Console) -> tuple[Study, Dataset]:
    """Return the study, new or resumed, and its data set, after a check that results can be written later.

    `dataset` is the data set as it was read; None for the built-in one.
    """
    check_places(settings.tracking_uri, settings.runs_dir)
    space = make_space(settings)
    size = TrialConfig.from_dict(space.first()).size
    dataset = dataset or checked_data(_sample(settings, console), settings, console)
    resumed = open_study(settings) if settings.resume else None
    edits = [one.edits for one in resumed.data.edits] if resumed else asked_edits(settings)
    dataset = edit_whole(dataset, edits, lambda one, counts: _show_counts(one, counts, console))
    if resumed:
        study = resumed
        pseudo = pseudo_data(dataset, study.data.splits, [size], settings, console, settings.group_by)
        check_same_data(study, dataset, pseudo)
        study = study.with_data_in(dataset.root, pseudo.root if pseudo else None)
    else:
        scenes = scenes_of(dataset, settings.group_by, settings.cache_dir, console)
        splits = make_splits(
            dataset,
            folds=settings.folds,
            holdout_fraction=settings.holdout_fraction,
            seed=settings.seed,
            scenes=scenes,
            whole_scenes=settings.holdout == "scenes",
            folds_by=settings.folds_by,
            folds_file=Path(settings.folds_file) if settings.folds_file else None,
        )
        if settings.pseudo is None:
            check_trainable(dataset, splits.training_rows("all"))
            for words in absent_classes(dataset, splits):
                say(console, words, style="yellow")
        pseudo = pseudo_data(dataset, splits, [size], settings, console, settings.group_by)
        known = [edited_data(dataset, one, splits, [size], settings, console) for one in edits]
        learnt = read_other_studies(settings, space)
        study = new_study(settings, dataset, splits, pseudo, scenes=scenes, edits=known, learnt=learnt)
    check_holdout(study, packed_data(dataset, size, settings, console))
    return study, dataset


def edited_data(
    dataset: Dataset,
    edits: Edits,
    splits: Splits,
    sizes: Iterable[tuple[int, int]],
    settings: StudySettings,
    console: Console,
) -> StudyEdits:
    """Return the corrections of the training labels with the photos that they drop, and print how many labels each rule
    changed.

    Args:
        dataset: The data set without these corrections.
        edits: The corrections.
        splits: The splits; the labels of their holdout stay as they are.
        sizes: (height, width) at which the corrected photos are decoded into the cache.
        settings: The settings of the command.
        console: Where to print.

    Raises:
        UserError: A rule matches nothing, or no annotation is left to train on.
    """
    if edits.apply_to_holdout:
        return StudyEdits(edits)  # they are in `dataset` already
    edited = apply_edits(dataset, edits, splits.holdout)
    _show_counts(edits, edited.counts, console)
    check_trainable(edited.dataset, set(splits.training_rows("all")) - edited.dropped, edits.name)
    for size in sizes:
        packed_data(edited.dataset, size, settings, console)
    return StudyEdits(edits, tuple(sorted(edited.dropped)))


def _show_counts(edits: Edits, counts: Counts, console: Console) -> None:
    changed = ", ".join(f"{rule}: {count}" for rule, count in counts)
    say(console, f"{edits.name} changes labels or images, {changed}")


def pseudo_data(
    dataset: Dataset,
    splits: Splits,
    sizes: Iterable[tuple[int, int]],
    settings: StudySettings,
    console: Console,
    group_by: str | None = None,
) -> PseudoData | None:
    """Return the photos of --pseudo that may be trained on; None without the flag.

    Copies of labelled photos and frames of scenes that are only scored are left out, and the console says how many.

    Args:
        dataset: The labelled data set.
        splits: Its splits.
        sizes: (height, width) at which the photos are decoded into the cache.
        settings: The settings of the command.
        console: Where to print.
        group_by: The regular expression of --group-by.

    Raises:
        UserError: The photos have other categories than the data set, or none of them may be trained on.
    """
    if settings.pseudo is None:
        return None
    root = Path(settings.pseudo)
    with working(console, "Checking the pseudo-labels …"):
        pseudo = load_pseudo(root, dataset.class_names, unlabelled=settings.unlabelled, cache_dir=settings.cache_dir)
    show_problems(pseudo, console)
    with scene_progress(console) as progress:
        how = {"group_by": group_by, "cache_dir": settings.cache_dir, "progress": progress}
        apart = rows_apart(pseudo, dataset, splits.holdout, **how)
    _show_apart(apart, root, dataset, group_by, console)
    for size in sizes:
        packed_data(pseudo, size, settings, console)
    return PseudoData(root, pseudo.fingerprint, apart.rows, settings.pseudo_weight)


def _show_apart(apart: Apart, root: Path, dataset: Dataset, group_by: str | None, console: Console) -> None:
    """Report which photos of --pseudo are left out, and which make the score too high.

    Raises UserError where none is left.
    """
    given = len(apart.rows) + apart.copies + apart.frames
    declared = f", or of one scene with some by --group-by {group_by!r}" if group_by else ""
    why = [f"{apart.copies} are copies of labelled photos of {dataset.root}{declared}"] * bool(apart.copies)
    why += [f"{apart.frames} are of scenes that the holdout or the test has"] * bool(apart.frames)
    if not apart.rows:
        raise UserError(
            f"--pseudo {root}: none of its {given} photos may be trained on, since {' and '.join(why)}: give it others"
            f"{', or let --group-by tell scenes apart' if group_by else ''}"
        )
    if why:
        say(
            console,
            f"{apart.copies + apart.frames} of the {given} photos of --pseudo {root} are left out, since "
            f"{' and '.join(why)}: a photo that was trained on could not be scored on",
            style="yellow",
        )
    if apart.shared:
        say(
            console,
            f"{apart.shared} of the photos of --pseudo {root} are of scenes that the holdout has. Training has these "
            "scenes anyway, and they are kept: the score will be too high for photos of new scenes",
            style="yellow",
        )


def _sample(settings: Settings, console: Console) -> Path:
    # In the runs directory, which all nodes see; it is drawn once.
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("Drawing the built-in data set", total=None)
        return write_sample(
            settings.runs_dir / "sample",
            seed=0,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def packed_data(dataset: Dataset, size: tuple[int, int], settings: StudySettings, console: Console) -> PackedData:
    """Return the cache of the data set at `size`, (height, width) in pixels; it is built, with a bar, if there is none.

    Raises UserError where the cache cannot be written, or a photo cannot be decoded.
    """
    with Bars(console) as bars:
        update = bars.add("Decoding photos", len(dataset.images))
        return pack(dataset, size, settings.cache_dir, progress=lambda done, _: update(done))
