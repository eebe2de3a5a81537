"""`segvote predict`: an ensemble's class maps of photos without labels, and the files that are written of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from mlflow.tracking import MlflowClient
from rich.console import Console

from ensembling.predict.class_maps import ClassMapsError
from ensembling.predict.prediction import REQUEST, Prediction
from ensembling.predict.submission import SubmissionError
from ensembling.runs.members import Ensemble, open_ensemble
from search.commands.foresee.expectation import tell
from search.commands.foresee.holdout import see_holdout
from search.commands.foresee.show import FEW_RUNS
from search.commands.predict.outputs import WRITTEN, Outputs
from search.commands.predict.scores import LabelledScores, scores_of, show_scores
from search.report.bars import Bars
from search.report.console import say, working
from search.report.durations import counted
from search.tracking.store import open_store
from trainables.data.photo_list import Photo, PhotoList, list_photos
from trainables.data.photos.photo_files import MAX_MEGAPIXELS
from trainables.errors import UserError
from trainables.inference.tta import TestTimeAugmentation


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """The options of one `segvote predict` command."""

    reference: str
    images: str
    out: Path
    kinds: tuple[str, ...] = ()
    each: bool = False
    tta: tuple[str, ...] = ()
    window: bool = False
    overlap: float = 0.5
    batch_size: int | None = None
    address: str | None = None
    max_megapixels: float = MAX_MEGAPIXELS
    runs_dir: Path = Path("runs")
    tracking_uri: str | None = None

    @property
    def asked_views(self) -> TestTimeAugmentation | None:
        """Return the views that were asked for; None where none were, so that those of the selection are used."""
        views = TestTimeAugmentation.parse(self.tta, window=self.window, overlap=self.overlap)
        return views if self.tta or self.window else None

    def connect(self) -> MlflowClient:
        return open_store(self.tracking_uri, self.runs_dir)[0]


def run_predict(options: PredictOptions, console: Console) -> int:
    """Predict, vote and write the results; return the exit code. Photos that were predicted before are not repeated."""
    with predicted(options, options.out, console) as (prediction, listed):
        _write(prediction, listed, options, console)
        _tell_what_to_expect(prediction, options.out, console)
    return 0


def _tell_what_to_expect(prediction: Prediction, out: Path, console: Console) -> None:
    """Report what `segvote foresee` would, where enough members have class maps of the holdout beside their weights."""
    if len(prediction.ensemble.members) < FEW_RUNS:
        return
    try:
        holdout = see_holdout(prediction.ensemble, prediction.views, None)
    except UserError:
        return
    tell(prediction, holdout, out, console)


@contextmanager
def predicted(
    options: PredictOptions,
    directory: Path,
    console: Console,
    ensemble: Ensemble | None = None,
    voting: int | None = None,
) -> Iterator[tuple[Prediction, PhotoList]]:
    """Yield the finished prediction and its photos, with its directory locked against other commands meanwhile.

    Args:
        options: The options of the command.
        directory: The directory of the class maps.
        console: Where to print.
        ensemble: The ensemble; by default the one that the options name.
        voting: How many of its runs vote, the first ones; all of them by default.

    Raises:
        UserError: There is no such ensemble, no photo can be predicted, or the directory holds another prediction.
    """
    views = options.asked_views
    _check_apart(directory, Path(options.images).expanduser())
    ensemble = ensemble or open_ensemble(options.reference, options.runs_dir, options.connect)
    with working(console, "Looking at the photos …"):
        listed = list_photos(options.images, max_megapixels=options.max_megapixels)
    for note in listed.notes:
        say(console, note, style="yellow")
    how = {"batch_size": options.batch_size or 0, "voting": voting}
    prediction = Prediction(directory, ensemble, listed.photos, views or ensemble.views, **how)
    photos = counted(len(listed.photos), "photo", "photos")
    members = counted(len(ensemble.members[:voting]), "member", "members")
    others = len(ensemble.members) - len(ensemble.members[:voting])
    beside = f" and {counted(others, 'other run', 'other runs')}" if others else ""
    say(console, f"{photos}, {members}{beside}, {prediction.views} each")
    if prediction.views != ensemble.views:
        say(console, f"The ensemble was selected with {ensemble.views}: its score may differ with other views.")
    try:
        with _claimed(prediction):
            if options.address:
                _predict_on_ray(prediction, options.address, console)
            else:
                _predict_here(prediction, console)
            yield prediction, listed
    except (ClassMapsError, SubmissionError) as error:
        raise UserError(str(error)) from error


def _check_apart(directory: Path, images: Path) -> None:
    """Raise UserError where the class maps would be written among the photos and be taken for photos the next time."""
    if images.is_dir() and directory.resolve().is_relative_to(images.resolve()):
        raise UserError(
            f"--out {directory} lies in --images {images}, so the next prediction would take the class "
            "maps for photos: choose another directory"
        )


def _check_own_files(directory: Path) -> None:
    """Raise UserError where the directory holds what would be replaced, and no prediction that it could be of."""
    there = [] if (directory / REQUEST).exists() else [name for name in WRITTEN if (directory / name).exists()]
    if there:
        raise UserError(
            f"--out {directory} holds {', '.join(there)}, of no prediction of SegVote's: choose another directory, so "
            "that nothing of yours is replaced"
        )


@contextmanager
def _claimed(prediction: Prediction) -> Iterator[None]:
    _check_own_files(prediction.directory)
    prediction.directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(prediction.directory / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(f"another command predicts into {prediction.directory}: wait for it, or stop it") from error
    try:
        prediction.open()
        yield
    finally:
        lock.release()


def _predict_here(prediction: Prediction, console: Console) -> None:
    """Predict with one member after another, so that the device holds one model at a time."""
    photos, members = len(prediction.photos), prediction.ensemble.members
    with Bars(console) as bars:
        everything = bars.add("all runs", photos * len(members)) if len(members) > 1 else None
        for index, member in enumerate(members):
            own = bars.add(f"run {index + 1}, {member.name}", photos)

            def show(done: int, own: Callable[[int], None] = own, before: int = index * photos) -> None:
                own(done)
                if everything:
                    everything(before + done)

            prediction.predict(index, show)


def _predict_on_ray(prediction: Prediction, address: str, console: Console) -> None:
    """Predict with one member on each GPU of the cluster, or on each core where it has no GPU, into one directory."""
    import ray

    from search.tuning.cluster.start_ray import start_ray

    start_ray(address)
    gpus = int(ray.cluster_resources().get("GPU", 0) > 0)
    predict = ray.remote(num_gpus=gpus, num_cpus=1, max_retries=2)(_fault_in_predicting)
    indices = range(len(prediction.ensemble.members))
    left = [predict.remote(prediction, index) for index in indices]
    with Bars(console) as bars:
        everything = bars.add("all runs", len(prediction.photos) * len(indices))
        while left:
            ready, left = ray.wait(left, timeout=2)
            for fault in filter(None, ray.get(ready)):
                raise UserError(fault)
            everything(sum(map(prediction.done, indices)))


def _fault_in_predicting(prediction: Prediction, index: int) -> str | None:
    """Predict with one member on the cluster, and return the message of an error that the user can correct.

    If it were raised, Ray would print its traceback once for each member.
    """
    try:
        prediction.predict(index)
    except (UserError, ClassMapsError) as error:
        return str(error)
    return None


def _write(prediction: Prediction, listed: PhotoList, options: PredictOptions, console: Console) -> None:
    ensemble, kinds = prediction.ensemble, options.kinds or ("maps", "csv")
    pixels, scores = np.zeros(256, np.int64), scores_of(listed, ensemble, console)
    truth = scores.target if scores else None
    with Bars(console) as bars:
        update = bars.add("vote", len(listed.photos))
        votes = _counted(prediction.ballots(), pixels, scores)
        for done in Outputs(options.out, kinds, listed, ensemble, truth).write(votes):
            update(done)
        for index, member in enumerate(ensemble.members if options.each else ()):
            directory = options.out / "each" / f"{index + 1:02d}-{member.name}"
            update = bars.add(member.name, len(listed.photos))
            for done in Outputs(directory, kinds, listed, ensemble, truth).write(
                zip(listed.photos, prediction.maps(index))
            ):
                update(done)
    shares = ", ".join(f"{name} {pixels[index] / pixels.sum():.1%}" for index, name in enumerate(ensemble.class_names))
    say(console, f"pixels    {shares}")
    if scores:
        show_scores(scores, options.out, console)
    say(console, f"results   {options.out}")


def _counted(
    ballots: Iterator[tuple[Photo, np.ndarray, np.ndarray]], pixels: np.ndarray, scores: LabelledScores | None
) -> Iterator[tuple[Photo, np.ndarray]]:
    """Yield photos and their votes, and count the pixels of each class in `pixels` int64 (256,) and all in `scores`."""
    for photo, maps, winners in ballots:
        pixels += np.bincount(winners.reshape(-1), minlength=256)
        if scores:
            scores.add(photo, maps, winners)
        yield photo, winners
