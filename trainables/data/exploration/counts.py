"""The numbers of the data report: plain values, for JSON, tables and charts."""

from typing import Any

import numpy as np

from trainables.data.exploration.advice import SMALL_AT_512
from trainables.data.exploration.table import Table
from trainables.data.layout import SPLITS

AREA_PERCENTILES = (5, 25, 50, 75, 95)
WHOLE_FRAME = 0.98  # of both sides: a box that covers so much is the frame itself
MOSTLY_HIDDEN = 0.5
LISTED = 50  # ids of a kind that are listed; the count has no limit


def count_numbers(table: Table) -> dict[str, Any]:
    """Return counts and shares by class, by image and by split, as plain values.

    `classes` has one entry per category. Shares of images and pixels are of the labelled images. `cooccurrence[i][j]`
    is the number of images with both classes i and j. Areas and hidden shares are of pixels after painting.
    """
    images = table.labelled
    return {
        "images": int(table.height.size),
        "annotations": len(table.ids),
        "categories": len(table.names),
        "splits": {
            name: _of_split(table, number) for number, name in enumerate(SPLITS) if (table.split == number).any()
        },
        "classes": _classes(table, int(images.sum()), int(table.pixels[images].sum())),
        "background_pixel_share": _share((table.pixels - table.annotated)[images].sum(), table.pixels[images].sum()),
        "unlabelled_images": _listed(table, np.flatnonzero(images & (table.annotated == 0))),
        "annotations_per_image": _distribution(annotations_per_image(table)[images]),
        "classes_per_image": _distribution(classes_per_image(table)[images]),
        "labelled_share": _summary(labelled_share(table)[images]),
        "cooccurrence": cooccurrence(table).tolist(),
        "sizes": _sizes(table),
        "hidden": _hidden(table),
        "whole_frame_boxes": _annotations(table, whole_frame(table)),
        "small_at_512": int((visible_at(table, 512) < SMALL_AT_512).sum()),
        "problems": [str(problem) for problem in table.dataset.problems[:LISTED]],
        "problem_count": len(table.dataset.problems),
    }


def annotations_per_image(table: Table) -> np.ndarray:
    return np.bincount(table.image, minlength=table.height.size)


def classes_per_image(table: Table) -> np.ndarray:
    return presence(table).sum(axis=1)


def labelled_share(table: Table) -> np.ndarray:
    return table.annotated / table.pixels


def presence(table: Table) -> np.ndarray:
    """Return which image has which class, bool (m, C)."""
    present = np.zeros((table.height.size, len(table.names)), bool)
    present[table.image, table.category] = True
    return present


def cooccurrence(table: Table) -> np.ndarray:
    """Return the number of images with both classes, int64 (C, C); on the diagonal, with the class."""
    present = presence(table).astype(np.float64)
    return np.round(present.T @ present).astype(np.int64)


def whole_frame(table: Table) -> np.ndarray:
    """Return which annotations have a box of almost the whole frame, bool (n,)."""
    wide = table.boxes[:, 2] >= WHOLE_FRAME * table.width[table.image]
    return wide & (table.boxes[:, 3] >= WHOLE_FRAME * table.height[table.image])


def visible_at(table: Table, side: int) -> np.ndarray:
    """Return the visible pixels of each annotation if the photo's longer side were `side` pixels, float64 (n,)."""
    longer = np.maximum(table.height, table.width)[table.image]
    return table.visible * (side / longer) ** 2


def _of_split(table: Table, number: int) -> dict[str, Any]:
    images = table.split == number
    own = images[table.image]
    return {
        "images": int(images.sum()),
        "annotations": int(own.sum()),
        "annotations_by_class": np.bincount(table.category[own], minlength=len(table.names)).tolist(),
        "images_by_class": presence(table)[images].sum(axis=0).tolist(),
        "pixels_by_class": np.bincount(table.category[own], table.visible[own], len(table.names)).astype(int).tolist(),
        "pixels": int(table.pixels[images].sum()),
    }


def _classes(table: Table, images: int, pixels: int) -> list[dict[str, Any]]:
    annotations = np.bincount(table.category, minlength=len(table.names))
    photos = presence(table).sum(axis=0)
    covered = np.bincount(table.category, table.visible, minlength=len(table.names))
    entries = []
    for number, category in enumerate(table.dataset.categories):
        own = table.category == number
        entries.append(
            {
                "id": category.id,
                "name": category.name,
                "annotations": int(annotations[number]),
                "images": int(photos[number]),
                "pixels": int(covered[number]),
                "annotation_share": _share(annotations[number], len(table.ids)),
                "image_share": _share(photos[number], images),
                "pixel_share": _share(covered[number], pixels),
                "area_percentiles": _percentiles(table.area[own]),
                "mostly_hidden": int((table.hidden[own] > MOSTLY_HIDDEN).sum()),
            }
        )
    return entries


def _percentiles(areas: np.ndarray) -> dict[str, float]:
    if not areas.size:
        return {}
    return {str(which): float(value) for which, value in zip(AREA_PERCENTILES, np.percentile(areas, AREA_PERCENTILES))}


def _distribution(values: np.ndarray) -> dict[str, Any]:
    found, counts = np.unique(values, return_counts=True)
    return {**_summary(values), "images_by_value": dict(zip(map(str, found.tolist()), counts.tolist()))}


def _summary(values: np.ndarray) -> dict[str, float]:
    if not values.size:
        return {}
    return {
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "smallest": float(values.min()),
        "largest": float(values.max()),
    }


def _sizes(table: Table) -> list[dict[str, int]]:
    found, counts = np.unique(np.stack([table.width, table.height], 1), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [
        {"width": int(found[one, 0]), "height": int(found[one, 1]), "images": int(counts[one])}
        for one in order.tolist()
    ]


def _hidden(table: Table) -> dict[str, Any]:
    hidden = table.hidden
    return {
        "partly": int((hidden > 0).sum()),
        "mostly": int((hidden > MOSTLY_HIDDEN).sum()),
        "wholly": _annotations(table, table.visible == 0),
    }


def _annotations(table: Table, chosen: np.ndarray) -> dict[str, Any]:
    listed = [
        {"annotation": table.ids[one], "image": table.dataset.images[table.image[one]].file_name}
        for one in np.flatnonzero(chosen)[:LISTED].tolist()
    ]
    return {"count": int(chosen.sum()), "listed": listed}


def _listed(table: Table, rows: np.ndarray) -> dict[str, Any]:
    names = [table.dataset.images[row].file_name for row in rows[:LISTED].tolist()]
    return {"count": int(rows.size), "listed": names}


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else 0.0
