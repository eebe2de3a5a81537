"""Recorded learning curves: real trials to simulate searches and votes with, in seconds and without training.

data/curves.npz holds 150 trials of tests/benchmarks/recording/space.py, each trained 18 epochs to the end. Backbones
began from ImageNet weights, and training was the project's, in float32, with augmentation of whole batches.

- camvid: 36 trials on the 367 photos of train.json, scored on the 101 of val.json, at 128x96.
- garbage6: 35 trials on 267 photos, scored on 68, at 96x96.
- camvid-small, 40 trials, and garbage6-small, 39: every second photo of train.json, at half the height and width,
  without DeepLabV3+.

The first two were recorded on 2026-11-26 on one NVIDIA H100 by `python -m tests.benchmarks.recording`, 14 side by side:
the `seconds` of an epoch are of a fourteenth of that card, where launches take most of the time. The small ones were
recorded on 2026-11-27 on a CPU with `--curves-only`; their `seconds` are those of one of its cores.

Class maps of the holdout, after the last epoch, are every second pixel of every second line.
"""

import io
import json
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent / "data" / "curves.npz"
DATA_SETS = ("camvid", "garbage6", "camvid-small", "garbage6-small")


@dataclass(frozen=True)
class Trial:
    """One recorded trial.

    `params` are what the space asked for, by name, as Optuna has them, `config` what it returned. `gflops` are those of
    a forward pass of one photo. The tuples hold a value an epoch: `miou` on the holdout, `loss` of training, `seconds`.
    """

    id: str
    params: dict[str, Any]
    config: dict[str, Any]
    parameters: int
    gflops: float
    miou: tuple[float, ...]
    loss: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class RecordedPool:
    """The trials on one data set, and their class maps of its holdout, as `ensembling.select_ensemble` takes them.

    `predictions` are uint8 (trials, pixels), in the trials' order, `target` uint8 (pixels,); `image_ids` int32
    (pixels,) are the holdout's photos, from 0.
    """

    name: str
    num_classes: int
    trials: tuple[Trial, ...]
    predictions: np.ndarray
    target: np.ndarray
    image_ids: np.ndarray


def photos_of(name: str) -> str:
    """Return which photos a data set of DATA_SETS consists of, whatever their size: "camvid" or "garbage6"."""
    return name.removesuffix("-small")


def read_pool(name: str, file: Path = FILE) -> RecordedPool:
    """Return the recorded trials on the data set `name`, one of DATA_SETS."""
    with np.load(file, allow_pickle=False) as arrays:
        described = json.loads(arrays[f"{name}/trials"].tobytes())
        curves = [np.asarray(arrays[f"{name}/{key}"], float).tolist() for key in ("miou", "loss", "seconds")]
        target, predictions = (unpacked(arrays[f"{name}/{key}"]) for key in ("target", "predictions"))
    trials = tuple(
        Trial(**one, miou=tuple(miou), loss=tuple(loss), seconds=tuple(seconds))
        for one, miou, loss, seconds in zip(described["trials"], *curves, strict=True)
    )
    photos = np.arange(len(target), dtype=np.int32)
    image_ids = np.repeat(photos, target[0].size)
    predictions = np.ascontiguousarray(predictions.T)  # runs lie side by side in the file, since they are alike
    return RecordedPool(name, described["num_classes"], trials, predictions, target.reshape(-1), image_ids)


def packed(array: np.ndarray) -> np.ndarray:
    """Return an array as compressed bytes, uint8 (bytes,); `unpacked` gives it back."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return np.frombuffer(lzma.compress(file.getvalue(), preset=6), np.uint8)


def unpacked(data: np.ndarray) -> np.ndarray:
    """Return the array that `packed` compressed."""
    return np.load(io.BytesIO(lzma.decompress(data.tobytes())), allow_pickle=False)
