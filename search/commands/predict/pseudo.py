"""`segvote pseudo`: an ensemble's labels of photos that nobody labelled, as a data set to train on."""

import shutil
from collections.abc import Callable, Iterator

import numpy as np
from rich.console import Console

from ensembling import PredictionsError, read_predictions
from ensembling.predict.prediction import Prediction, agreement
from ensembling.runs.members import Ensemble, open_ensemble
from search.commands.predict.command import PredictOptions, predicted
from search.report.bars import Bars
from search.report.console import say
from trainables.data.pseudo import PseudoItem, check_class_names, write_pseudo
from trainables.errors import UserError
from trainables.trial.study_files import TARGET


def run_pseudo(options: PredictOptions, agree: int | None, least: float, member: str | None, console: Console) -> int:
    """Label photos by the vote of an ensemble, write them as a data set, and return the exit code.

    Args:
        options: The options of `segvote predict` that hold here, too.
        agree: How many votes the class of a pixel needs; None for two thirds of them.
        least: The least share of labelled pixels of a photo that is kept.
        member: The name, run id or rank of the member whose classes are taken; None for those of the vote.
        console: Where to print.

    Raises:
        UserError: `options.out` exists, there is no such member, or more votes are asked for than there are.
    """
    if options.out.exists():
        raise UserError(f"{options.out} exists already: choose another --out, or remove it first")
    # What can be wrong with the flags is said now: predicting may take hours.
    ensemble = open_ensemble(options.reference, options.runs_dir, options.connect)
    check_class_names(ensemble.class_names)
    index, least_votes = _place(ensemble, member), _least_votes(ensemble, agree)
    # The class maps stay beside the data set until it is complete, so that the command can be resumed.
    work = options.out.with_name(f"{options.out.name}.prediction")
    with predicted(options, work, console, ensemble) as (prediction, _), Bars(console) as bars:
        update = bars.add("labelling", len(prediction.photos))
        report = write_pseudo(
            options.out,
            ensemble.class_names,
            _items(prediction, index, update),
            agree=least_votes,
            least=least,
            unlabelled=ensemble.unlabelled,
        )
    shutil.rmtree(work)
    say(console, f"at least {least_votes} of {sum(ensemble.votes)} votes for each pixel")
    say(console, report.summary(_holdout_pixels(ensemble)))
    say(console, f"train with it: segvote search --pseudo {options.out!s} …")
    return 0


def _items(prediction: Prediction, index: int | None, update: Callable[[int], None]) -> Iterator[PseudoItem]:
    votes = prediction.ensemble.votes
    for done, (photo, ballots, winners) in enumerate(prediction.ballots(), start=1):
        labels = winners if index is None else ballots[index]
        yield photo.path, photo.file_name, labels, agreement(ballots, labels, votes)
        update(done)


def _place(ensemble: Ensemble, member: str | None) -> int | None:
    if member is None:
        return None
    for index, one in enumerate(ensemble.members):
        if member in (one.name, one.run_id, str(index + 1)):
            return index
    names = ", ".join(one.name for one in ensemble.members)
    raise UserError(f"--member {member} is no member of the ensemble: give the name, run id or rank of one of {names}")


def _least_votes(ensemble: Ensemble, agree: int | None) -> int:
    total = sum(ensemble.votes)
    if agree is None:
        return -(-2 * total // 3)
    if agree > total:
        raise UserError(f"--agree {agree}: the members of this ensemble have only {total} votes")
    return agree


def _holdout_pixels(ensemble: Ensemble) -> list[int] | None:
    """Return the number of the holdout's labelled pixels by class, to compare with; None where it cannot be read."""
    study = ensemble.members[0].weights.parents[2]
    try:
        pixels = read_predictions(study / TARGET).pixels
    except (OSError, PredictionsError):
        return None
    return np.bincount(pixels, minlength=256)[: len(ensemble.class_names)].tolist()
