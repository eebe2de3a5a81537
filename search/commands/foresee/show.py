"""What was foreseen, on screen and as plain values."""

from typing import Any

import numpy as np
from rich.console import Console

from ensembling.foresight.foresee import Foreseen, Foresight
from ensembling.foresight.leaderboard_halves import Halves
from ensembling.predict.prediction import Prediction
from search.report.console import PlainTable, say

FEW_RUNS = 6
SHOWN_PHOTOS = 5
RANGE = (
    "The interval is for photos that were taken for the same purpose as the holdout's, of other scenes or lower "
    "quality. For photos of another data set it was too narrow in all cases that were tried: label some of those."
)
LEARNED_IOU, MOST_UNLEARNED = 0.01, 0.1  # a class below it is not learned; the share of such classes
STRONGEST_SEEN = 1.5  # probits of change: nothing beyond it was recorded


def described(foresight: Foresight, prediction: Prediction, voting: int) -> dict[str, Any]:
    """Return plain values for foresee.json; the first `voting` runs are the ensemble's members."""
    names = prediction.ensemble.class_names
    return {
        "photos": len(prediction.photos),
        "vote": vars(foresight.vote),
        "runs": [
            {"name": run.name, "run_id": run.run_id, "votes": run.votes if index < voting else 0, **vars(own)}
            for index, (run, own) in enumerate(zip(prediction.ensemble.members, foresight.runs))
        ],
        "changes": dict(zip(("agreement", "confidence", "unanimity"), foresight.changes)),
        "iou": {
            name: {"holdout": _number(known), "expected": _number(expected), "share": shares.tolist()}
            for name, known, expected, shares in zip(
                names, foresight.holdout_iou, foresight.expected_iou, foresight.shares.T
            )
        },
        "least_like_the_holdout": [
            {"photo": prediction.photos[index].file_name, "support": float(foresight.support[index])}
            for index in foresight.least_like(len(prediction.photos))
        ],
        "holdout_support": foresight.holdout_support,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def sentence(foresight: Foresight) -> str:
    """Return the vote's expectation in one line."""
    vote = foresight.vote
    change = 100 * (vote.expected - vote.holdout)
    return (
        f"Expect an mIoU of {vote.expected:.3f} on these photos ({vote.low:.3f} to {vote.high:.3f} in nine of ten "
        f"cases), {abs(change):.1f} points {'below' if change < 0 else 'above'} the {vote.holdout:.3f} of the holdout"
    )


def show_foresight(foresight: Foresight, prediction: Prediction, voting: int, console: Console) -> None:
    """Print what is expected of the vote, its members and classes, and which photos are least like the holdout.

    Args:
        foresight: What is expected.
        prediction: The class maps of the photos.
        voting: The number of runs that are members, which are the first ones.
        console: Where to print.
    """
    say(console, sentence(foresight))
    say(console, RANGE)
    table = PlainTable("Expected mIoU (runs in brackets do not vote)", "run", ">holdout", ">expected", ">90 % interval")
    for index, (run, own) in enumerate(zip(prediction.ensemble.members, foresight.runs)):
        _add(table, run.name if index < voting else f"({run.name})", own)
    _add(table, "the vote", foresight.vote)
    console.print(table)
    names = prediction.ensemble.class_names
    for index in foresight.losing():
        before, after = foresight.shares[:, index]
        text = f"{names[index]}: IoU {foresight.holdout_iou[index]:.2f} to {foresight.expected_iou[index]:.2f}"
        say(console, f"worse     {text}, {before:.1%} to {after:.1%} of all pixels")
    unlike = [at for at in foresight.least_like(SHOWN_PHOTOS) if foresight.support[at] < foresight.holdout_support]
    for index in unlike:
        name, support = prediction.photos[index].file_name, foresight.support[index]
        text = f"{name}: {support:.0%} of the runs agree with the vote, and {foresight.holdout_support:.0%} on"
        say(console, f"unlike    {text} the holdout")
    for text in warnings(foresight):
        say(console, text, style="yellow")


def warnings(foresight: Foresight) -> list[str]:
    """Return what makes this expectation less sure than its interval says."""
    found = []
    if len(foresight.runs) < FEW_RUNS:
        found.append(
            f"The estimate rests on {len(foresight.runs)} runs, and its interval was measured with {FEW_RUNS} to 12: "
            "with as many, of several backbones, it is better"
        )
    occurring, unlearned = ~np.isnan(foresight.holdout_iou), foresight.holdout_iou < LEARNED_IOU
    if unlearned.sum() > MOST_UNLEARNED * occurring.sum():
        found.append(
            f"{unlearned.sum()} of {occurring.sum()} classes have an IoU below {LEARNED_IOU} on the holdout: with so "
            "many classes not learned, the median error of such estimates was 11 points, and 3 elsewhere"
        )
    if max(map(abs, foresight.changes)) > STRONGEST_SEEN:
        found.append(
            "These photos differ from the holdout by more than any on which this method was tried: label some of them"
        )
    return found


def _add(table: PlainTable, name: str, own: Foreseen) -> None:
    interval = f"{own.low:.3f} to {own.high:.3f}"
    table.add_row(name, f"{own.holdout:.3f}", f"{own.expected:.3f}", interval)


def show_halves(halves: Halves, console: Console) -> None:
    """Print how far two halves of a test differ by chance."""
    say(
        console,
        f"Two halves of a test of {halves.photos} photos like the holdout's differ by chance: the vote's mIoU by "
        f"{100 * halves.gap_median:.1f} points in the median and by up to {100 * halves.gap_95:.1f} in 19 of 20 tests. "
        f"Its lead over the best member changes by {100 * halves.lead_median:.1f} and {100 * halves.lead_95:.1f}; in "
        f"{halves.swapped:.0%} of tests the vote is ahead on one half, and the best member on the other.",
    )
