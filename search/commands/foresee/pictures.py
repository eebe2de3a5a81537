"""A sheet of the photos that are least like the holdout: each photo, the vote on it, and where the runs differ."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ensembling.foresight.foresee import Foresight
from ensembling.predict.prediction import Prediction
from search.commands.predict.outputs import save_png
from search.report.pictures import overlay, palette, with_legend
from trainables.data.photos.photo_files import decode_photo

PHOTOS = 6
TILE = 256  # pixels, the longer side


def draw_least_like(
    foresight: Foresight, prediction: Prediction, vote: Callable[[np.ndarray], np.ndarray], path: Path
) -> None:
    """Write a sheet of the photos that are least like the holdout, the least alike at the top.

    Args:
        foresight: What is expected of the photos.
        prediction: The class maps of the photos.
        vote: Returns the vote uint8 (H, W) of the class maps of all runs, uint8 (runs, H, W).
        path: The file to write.
    """
    ensemble = prediction.ensemble
    names, indices = ensemble.class_names, foresight.least_like(PHOTOS)
    colours = palette(len(names), background=ensemble.unlabelled == "background")
    strips: dict[int, np.ndarray] = {}
    for index, (photo, maps, _) in enumerate(prediction.ballots()):
        if index in indices:
            winners = vote(maps)
            scale = TILE / max(photo.size)
            size = tuple(max(1, round(length * scale)) for length in photo.size)
            pixels = decode_photo(photo.path.read_bytes(), photo.size, size)
            doubt = (maps != winners).mean(axis=0)
            grey = np.repeat((255 * doubt).astype(np.uint8)[..., None], 3, axis=-1)
            strips[index] = np.hstack([pixels, overlay(pixels, _resized(winners, size), colours), _resized(grey, size)])
    width = max(strip.shape[1] for strip in strips.values())
    sheet = np.vstack([np.pad(strips[at], ((0, 4), (0, width - strips[at].shape[1]), (0, 0))) for at in indices])
    caption = "photo, vote, where runs differ (white); the least like the holdout at the top"
    save_png(with_legend(sheet, caption, dict(enumerate(names)), colours), path)


def _resized(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(array).resize((size[1], size[0]), Image.Resampling.NEAREST))
