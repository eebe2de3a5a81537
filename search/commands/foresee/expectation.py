"""From a finished prediction and the holdout to what is expected: on screen, in foresee.json and in a picture."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ensembling.foresight.agreement_counts import AgreementCounter
from ensembling.foresight.foresee import Foresight, foresee
from ensembling.predict.prediction import Prediction
from search.commands.foresee.holdout import SeenHoldout
from search.commands.foresee.pictures import draw_least_like
from search.commands.foresee.show import described, show_foresight
from search.report.bars import Bars
from trainables.files import write_json

RESULT = "foresee.json"
PICTURE = "least_like_the_holdout.png"


def tell(prediction: Prediction, holdout: SeenHoldout, out: Path, console: Console) -> None:
    """Show what the photos should score, and write foresee.json and the picture of the photos that are least like the
    holdout.

    Args:
        prediction: The class maps of the photos.
        holdout: The class maps of the holdout by the same runs, and its labels.
        out: The directory of the files.
        console: Where to print.
    """
    foresight = foresight_of(prediction, holdout, console)
    write_json(out / RESULT, described(foresight, prediction, holdout.voting))
    show_foresight(foresight, prediction, holdout.voting, console)
    draw_least_like(foresight, prediction, holdout.vote, out / PICTURE)
    console.print(escape(f"files     {out / RESULT}, {out / PICTURE}"), soft_wrap=True, highlight=False)


def foresight_of(prediction: Prediction, holdout: SeenHoldout, console: Console) -> Foresight:
    """Return what the photos will score that the holdout's pool has predicted."""
    pool = holdout.pool
    with Bars(console) as bars:
        known = holdout.look(bars.add("the holdout", len(holdout.target.image_ids)))
        update = bars.add("the photos", len(prediction.photos))
        counter = AgreementCounter(len(pool.members), len(pool.class_names))
        for done, (_, maps, _) in enumerate(prediction.ballots(), start=1):
            counter.add(maps, holdout.vote(maps))
            update(done)
    return foresee(known, counter.counts(), holdout_miou=pool.description.crossfit_miou)
