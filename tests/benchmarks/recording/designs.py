"""What is recorded: on which photos runs are trained, and on which others each keeps its class maps.

CamVid has three drives here: 0001TP, 0006R0 and 0016E5. The last is cut at its middle, and the 101 frames of val.json
are of its end, between frames that train.json has: a holdout whose score is too high.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from tests.benchmarks.recording.photos import KINDS, STRENGTHS, Photos, shifted

COMMON = ["Background", "paper", "metal", "glass", "plastic", "other"]
"""Classes that garbage6 and recycle60 have in common."""
TO_COMMON = {
    "garbage6": [0, 5, 1, 3, 2, 1, 4],
    "recycle60": [0, 5, 1, 1, 2, 3, 4, 4, 4, 5, 5],
}
"""The common class of each class of theirs."""


@dataclass(frozen=True, eq=False)
class Output:
    """Photos that every run of a design predicts: images uint8 (N, h, w, 3), masks uint8 (N, h, w)."""

    images: np.ndarray
    masks: np.ndarray


@dataclass(frozen=True, eq=False)
class Design:
    """Where runs are trained and scored: `train` and `holdout` are rows of the arrays `images` and `masks`."""

    name: str
    images: np.ndarray
    masks: np.ndarray
    class_names: list[str]
    train: list[int]
    holdout: list[int]
    epochs: int
    runs: int
    outputs: dict[str, Output] = field(default_factory=dict)
    """By name; the holdout's, "holdout", is always among them. Shifted ones are named "of/kind/strength"."""


def make_designs(data: dict[str, Photos], *, only: str = "", few: int | None = None) -> list[Design]:
    """Return all designs, or that of the name `only`, without the shifted copies of their outputs.

    `few` is how many photos to train on and to predict of each output at most, to try things out.
    """
    makers: dict[str, Callable[[dict[str, Photos]], Design]] = {
        "camvid": _camvid,
        "garbage6": _garbage6,
        "camvid-small": lambda data: _small(data["camvid"], "camvid-small"),
        "garbage6-small": lambda data: _small(data["garbage6"], "garbage6-small"),
        "early": _early,
        "drive": _drive,
        "late": _late,
        "dusk": _dusk,
        "recycle": _recycle,
    }
    return [_cut(make(data), few) for name, make in makers.items() if only in ("", name)]


def _cut(design: Design, few: int | None) -> Design:
    outputs = {name: Output(one.images[:few], one.masks[:few]) for name, one in design.outputs.items()}
    return replace(design, train=design.train[:few], holdout=design.holdout[:few], outputs=outputs)


SHIFTED = {
    "camvid": {"holdout": 2},
    "garbage6": {"holdout": 2},
    "early": {"0016E5-val": 2, "0006R0": 3},
    "drive": {"0001TP": 2},
}
"""Of which outputs each design has shifted copies: every second photo of it, or every third."""


def with_shifts(design: Design) -> Design:
    """Return the design with shifted copies, of every kind and strength, of some photos of the outputs in SHIFTED."""
    for of, step in SHIFTED.get(design.name, {}).items():
        output = design.outputs[of]
        rows = range(1, len(output.images), step)
        for kind in KINDS:
            for strength in range(STRENGTHS):
                images = np.stack([shifted(output.images[row], kind, strength, row) for row in rows])
                design.outputs[f"{of}/{kind}/{strength}"] = Output(images, output.masks[list(rows)])
    return design


def _of(
    photos: Photos, name: str, *, train: list[int], outputs: dict[str, list[int]], epochs: int, runs: int
) -> Design:
    outputs = {key: Output(photos.images[rows], photos.masks[rows]) for key, rows in outputs.items()}
    holdout = outputs["holdout"]
    return Design(
        name,
        np.concatenate([photos.images[train], holdout.images]),
        np.concatenate([photos.masks[train], holdout.masks]),
        photos.class_names,
        list(range(len(train))),
        list(range(len(train), len(train) + len(holdout.images))),
        epochs,
        runs,
        outputs,
    )


def _camvid(data: dict[str, Photos]) -> Design:
    """The published split: learning curves, and shifted copies of its holdout."""
    photos = data["camvid"]
    outputs = {"holdout": photos.rows(split="val")}
    return _of(photos, "camvid", train=photos.rows(split="train"), outputs=outputs, epochs=18, runs=84)


def _garbage6(data: dict[str, Photos]) -> Design:
    """The published split: learning curves, shifted copies, and recycle60's photos, whose classes are others."""
    photos = data["garbage6"]
    outputs = {"holdout": photos.rows(split="val")}
    design = _of(photos, "garbage6", train=photos.rows(split="train"), outputs=outputs, epochs=18, runs=84)
    design.outputs["recycle60"] = Output(data["recycle60"].images, data["recycle60"].masks)
    return design


def _small(photos: Photos, name: str) -> Design:
    """The published split at half the height and width, every second photo trained on: learning curves alone.

    A run takes a minute or two of one CPU core.
    """
    height, width = photos.masks.shape[1:]
    small = [cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA) for image in photos.images]
    halved = replace(photos, images=np.stack(small), masks=photos.masks[:, 1::2, 1::2])
    outputs = {"holdout": halved.rows(split="val")}
    return _of(halved, name, train=halved.rows(split="train")[::2], outputs=outputs, epochs=18, runs=54)


def _drives(photos: Photos) -> dict[str, list[int]]:
    whole = photos.rows(prefix="0016E5", split="train")
    return {
        "0001TP": photos.rows(prefix="0001TP"),
        "0006R0": photos.rows(prefix="0006R0"),
        "0016E5-first": whole[: len(whole) // 2],
        "0016E5-second": whole[len(whole) // 2 :],
        "0016E5-val": photos.rows(prefix="0016E5", split="val"),
    }


def _by_drives(data: dict[str, Photos], name: str, train: list[str], holdout: str, runs: int) -> Design:
    """All drives that are not trained on are predicted; 0006R0, the final check, is never trained on here."""
    drives = _drives(data["camvid"])
    outputs = {"holdout" if key == holdout else key: rows for key, rows in drives.items() if key not in train}
    rows = [row for key in train for row in drives[key]]
    return _of(data["camvid"], name, train=rows, outputs=outputs, epochs=18, runs=runs)


def _early(data: dict[str, Photos]) -> Design:
    return _by_drives(data, "early", ["0001TP", "0016E5-first"], "0016E5-second", 12)


def _drive(data: dict[str, Photos]) -> Design:
    return _by_drives(data, "drive", ["0016E5-first", "0016E5-second"], "0016E5-val", 12)


def _late(data: dict[str, Photos]) -> Design:
    return _by_drives(data, "late", ["0001TP", "0016E5-second"], "0016E5-first", 11)


def _dusk(data: dict[str, Photos]) -> Design:
    return _by_drives(data, "dusk", ["0001TP", "0016E5-val"], "0016E5-second", 11)


def _recycle(data: dict[str, Photos]) -> Design:
    """recycle60 in the common classes, tested on garbage6: few photos, many epochs."""
    photos, others = (_in_common(data[name], name) for name in ("recycle60", "garbage6"))
    order = np.random.default_rng(0).permutation(len(photos.images)).tolist()
    outputs = {"holdout": sorted(order[:20])}
    design = _of(photos, "recycle", train=sorted(order[20:]), outputs=outputs, epochs=40, runs=11)
    rows = others.rows(split="val")
    design.outputs["garbage6"] = Output(others.images[rows], others.masks[rows])
    return design


def _in_common(photos: Photos, name: str) -> Photos:
    table = np.array(TO_COMMON[name], np.uint8)
    return Photos(photos.images, table[photos.masks], photos.names, photos.splits, COMMON)
