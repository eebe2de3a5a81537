"""`segvote foresee`: what an ensemble will score on photos without labels, and how far chance alone moves a score."""

import hashlib
import json
import re
from pathlib import Path

from rich.console import Console

from ensembling.foresight.leaderboard_halves import Halves, halves_of_test
from ensembling.runs.members import open_ensemble
from search.commands.foresee.expectation import tell
from search.commands.foresee.holdout import SeenHoldout, other_runs, see_holdout
from search.commands.foresee.show import show_halves
from search.commands.predict.command import PredictOptions, predicted
from trainables.errors import UserError
from trainables.inference.tta import TestTimeAugmentation

LONGEST_NAME = 100  # characters; a file's name has 255 bytes at most


def run_foresee(options: PredictOptions, out: Path | None, halves: int | None, runs: int, console: Console) -> int:
    """Predict the photos as far as they are not predicted, show what the vote should score on them, and return the exit
    code.

    Args:
        options: The ensemble and the photos. Without photos only the halves are shown.
        out: The directory of the class maps and results; None for one below the runs directory.
        halves: The number of photos of a test whose two halves are compared; None without that.
        runs: How many runs predict: the members, and beside them the best other candidates.
        console: Where to print.
    """
    ensemble = open_ensemble(options.reference, options.runs_dir, options.connect)
    others = other_runs(ensemble, Path(options.reference), options.runs_dir, max(0, runs - len(ensemble.members)))
    # What cannot be had should be known before photos are predicted, which takes long.
    views = options.asked_views or ensemble.views
    holdout = see_holdout(ensemble, views, options.connect, others)
    if halves is not None:
        show_halves(halves_of(holdout, halves), console)
    if options.images:
        out = out or _own_place(options, holdout, views)
        with predicted(options, out, console, holdout.pool, holdout.voting) as (prediction, _):
            tell(prediction, holdout, out, console)
    return 0


def _own_place(options: PredictOptions, holdout: SeenHoldout, views: TestTimeAugmentation) -> Path:
    """Return a directory that no estimate has which may be another: for each source of photos, vote, pool and holdout.

    The same command always has the same one, so that it continues what was predicted.
    """
    pool, images = holdout.pool, Path(options.images).expanduser().absolute()
    decides = [
        str(images),
        [(member.run_id, member.weights_sha256, member.votes) for member in pool.members],
        holdout.voting,
        views.to_dict(),
        holdout.target.fingerprint,
        pool.description.crossfit_miou,
    ]
    digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:8]
    name = re.sub(r"[^\w.-]", "_", f"{images.stem}-{pool.name}")[:LONGEST_NAME]
    return options.runs_dir / "foreseen" / f"{name}-{digest}"


def halves_of(holdout: SeenHoldout, photos: int) -> Halves:
    """Return how far two halves of a test of so many photos differ by chance. Raises UserError for too few."""
    counts, photos_per_group = holdout.counts_by_group()
    try:
        return halves_of_test(counts, photos, photos_per_group=photos_per_group)
    except ValueError as error:
        raise UserError(f"--halves {photos}: {error}") from error
