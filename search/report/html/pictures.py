"""The pictures: holdout photos that show what the vote does, as panels of photo and class maps."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from search.report.html.charts import Section
from search.report.pictures import CHANGES, changed_pixels, fitted, overlay, palette
from search.report.record.gather import Report
from search.report.record.votes import REASONS, PhotoVotes
from trainables.data.dataset import BACKGROUND

LONGEST = 320  # pixels of a panel
QUALITY = 75  # of WebP
GREY = 128  # in place of a photo that is not on this machine


def section(report: Report) -> Section | None:
    """Return the photos with their panels and the legend; None without an ensemble whose vote could be taken."""
    if report.votes is None:
        return None
    names = report.study.class_names
    colours = palette(len(names), background=names[0] == BACKGROUND)
    groups = [
        {"title": title, "photos": [_photo(report, photo, colours, REASONS[title]) for photo in photos]}
        for title, photos in report.votes.picked.items()
        if photos
    ]
    context = {
        "groups": groups,
        "legend": [(name, _css(colours[class_id])) for class_id, name in enumerate(names)],
        "changes": [(kind, _css(colour)) for kind, colour in CHANGES.items()],
    }
    return Section("Photos to look at", "pictures.html", context) if groups else None


def _photo(report: Report, photo: PhotoVotes, colours: np.ndarray, reason: str) -> dict[str, Any]:
    share = getattr(photo, reason)
    panels = [(name, _data_uri(panel)) for name, panel in panels_of(report.photos.get(photo.index), photo, colours)]
    return {"id": photo.image_id, "share": share, "panels": panels}


def panels_of(photo: np.ndarray | None, votes: PhotoVotes, colours: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the picture, uint8 (H, W, 3), of each panel: photo, target, best single, vote, changes."""
    size = votes.target.shape
    maps = [fitted(one, size, LONGEST) for one in (votes.target, votes.single, votes.vote)]
    if photo is None:
        ground = np.full((*maps[0].shape, 3), GREY, np.uint8)
    else:
        ground = fitted(photo, size, LONGEST)
        yield "photo", ground
    for name, class_map in zip(("target", "best single run", "vote"), maps):
        yield name, overlay(ground, class_map, colours)
    yield "what the vote changed", changed_pixels(ground, *maps)


def _data_uri(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _css(colour: Any) -> str:
    return "rgb({} {} {})".format(*(int(part) for part in colour))
