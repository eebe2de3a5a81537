"""The test photos of a data set at the end of a search: the score of the vote on them, and a picture of some."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from ensembling.runs.members import Ensemble
from search.commands.predict.command import PredictOptions, predicted
from search.commands.predict.scores import scores_of, show_scores
from search.report.console import say
from search.report.pictures import fitted, overlay, palette, with_legend
from search.study.settings import StudySettings
from search.study.study import Study, data_files
from trainables.data.dataset import BACKGROUND
from trainables.data.layout import find_layout
from trainables.data.photos.photo_files import decode_photo

SHOWN = 3  # the number of photos in the picture
PANEL = 200  # pixels of the longer side of a panel
COLUMNS = "photo, labels, best run, vote"


@dataclass(frozen=True)
class Changed:
    """A photo file and its class maps, uint8 (H, W) each."""

    path: Path
    target: np.ndarray
    best: np.ndarray
    vote: np.ndarray

    @property
    def pixels(self) -> int:
        """Return the number of labelled pixels to which the vote gives another class than the best run."""
        return int(((self.best != self.vote) & (self.target != 255)).sum())


def score_test(study: Study, settings: StudySettings, console: Console) -> None:
    """Score the study's vote on the test photos of its data set, and draw those that it changed most.

    The results are in the directory `test` of the study. Nothing happens where the data set has no test photos or no
    labels of them.
    """
    test_json = find_layout(study.data.root, **data_files(study.manifest)).files.get("test")
    if test_json is None:
        return
    options = PredictOptions(
        reference=str(study.ensemble_file),
        images=str(test_json),
        out=study.directory / "test",
        runs_dir=settings.runs_dir,
        tracking_uri=settings.tracking_uri,
    )
    score_and_draw(options, console)


def score_and_draw(options: PredictOptions, console: Console) -> None:
    """Write `scores.json` and `vote.png` of the photos of `options` into its directory; neither without labels."""
    out = options.out
    with predicted(options, out, console) as (prediction, listed):
        scores = scores_of(listed, prediction.ensemble, console)
        if scores is None:
            return
        most: list[Changed] = []
        for photo, ballots, winners in prediction.ballots():
            scores.add(photo, ballots, winners)
            target = scores.target(photo)
            most = [*most, Changed(photo.path, target, ballots[0], winners)]
            most = sorted(most, key=lambda one: -one.pixels)[:SHOWN]
        show_scores(scores, out, console)
        picture(most, prediction.ensemble).save(out / "vote.png")
    say(console, f"picture   {out / 'vote.png'} ({COLUMNS})")


def picture(photos: Sequence[Changed], ensemble: Ensemble) -> Image.Image:
    """Return a sheet with a row for each photo: the photo, its labels, the best run and the vote, with a legend."""
    names = ensemble.class_names
    colours = palette(len(names), background=names[0] == BACKGROUND)
    rows = []
    for one in photos:
        height, width = one.vote.shape
        photo = fitted(decode_photo(one.path.read_bytes(), (height, width), (height, width)), (height, width), PANEL)
        maps = [fitted(class_map, (height, width), PANEL) for class_map in (one.target, one.best, one.vote)]
        rows.append(np.hstack([photo, *(overlay(photo, class_map, colours) for class_map in maps)]))
    widest = max(row.shape[1] for row in rows)
    sheet = np.vstack([np.pad(row, ((0, 4), (0, widest - row.shape[1]), (0, 0))) for row in rows])
    return with_legend(sheet, COLUMNS, dict(enumerate(names)), colours)
