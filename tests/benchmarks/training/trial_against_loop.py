"""One trial, run by a search on Ray, against the plain loop that a user would write instead (on CamVid).

Both train the same network on the same threads, batches and epochs, and score the holdout at its masks' own size after
each. They take turns, every second round in reverse order, since the machine may have other things to do. Seconds per
epoch are from the end of one epoch to the end of the next: with what a trial saves and reports in between, and without
either side's start.

Both start from the same weights: after a few epochs, which weights a decoder was drawn with makes more of a difference
than all else. Batches are drawn by each for itself, so that scores of one round still differ by chance: it takes many
rounds, which can be of smaller photos (`--height 64`), to tell which of the two is better.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from tests.benchmarks.places import BACKBONE, BATCH_SIZE, CAMVID, ROOT, SIZE, WEIGHTS
from tests.benchmarks.training.plain_loop import Loop, read_split
from trainables.hardware.precision import choose_precision
from trainables.models import build_model

NUM_CLASSES = 11
LR = 1e-3
SPACE = f"""
def suggest(trial):
    return {{
        "head": "unet", "backbone": {BACKBONE!r}, "optimizer": "adamw", "lr": {LR}, "schedule": "one_cycle",
        "augmentation": "flip", "dropout": 0.0, "batch_size": {BATCH_SIZE},
    }}
"""


@dataclass(frozen=True)
class Run:
    """`ends_s`: when each epoch ended; `miou`: the holdout's after the last; `own_s`: what a trial counts for each."""

    ends_s: list[float]
    miou: float
    own_s: tuple[float, ...] = ()

    @property
    def epochs_s(self) -> list[float]:
        return [after - before for before, after in zip(self.ends_s, self.ends_s[1:])]


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=int, default=3, help="at least 2 (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="each with its own seed (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first round (%(default)s)")
    parser.add_argument("--images", type=int, default=367, help="training photos, of 367 (%(default)s)")
    parser.add_argument("--height", type=int, default=SIZE[0], help="of the photos, which are 5:4 (%(default)s)")
    parser.add_argument("--skip-fp32", action="store_true", help="leave out the loop without mixed precision")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="(%(default)s)")


def run(options: argparse.Namespace, console: Console) -> None:
    with tempfile.TemporaryDirectory() as directory:
        contest = Contest(options, Path(directory))
        runs: dict[str, list[Run]] = {name: [] for name in contest.contenders}
        for number in range(options.rounds):
            for name, start in list(contest.contenders.items())[:: -1 if number % 2 else 1]:
                load, began = os.getloadavg()[0], time.monotonic()
                runs[name].append(start(options.seed + number))
                spent = time.monotonic() - began
                console.print(f"round {number + 1}, {name}: {spent:.0f} s; load {load:.1f} before it", highlight=False)
            console.print(_table(runs))
            if number:
                console.print(_gains(runs), highlight=False)


class Contest:
    """The contenders by name: functions from a seed to a Run."""

    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        self._epochs, self._threads, self._directory = options.epochs, options.threads, directory
        self._data = _part_of_camvid(options.images, directory / "data")
        self._size = options.height, options.height * SIZE[1] // SIZE[0]
        self._train, self._holdout = (read_split(self._data / f"{name}.json", self._size) for name in ("train", "val"))
        (directory / "space.py").write_text(SPACE)
        has_bf16 = choose_precision("auto").dtype == torch.bfloat16  # then the trial computes in it, too
        dtypes = {"fp32": torch.float32} if not (options.skip_fp32 and has_bf16) else {}
        dtypes |= {"bf16": torch.bfloat16} if has_bf16 else {}
        self.contenders: dict[str, Callable[[int], Run]] = {
            **{f"loop, {name}": partial(self._loop, dtype) for name, dtype in dtypes.items()},
            "trial": self._trial,
        }

    def _loop(self, dtype: torch.dtype, seed: int) -> Run:
        torch.set_num_threads(self._threads)
        loop = Loop(
            backbone=BACKBONE,
            weights=WEIGHTS / f"{BACKBONE}.safetensors",
            num_classes=NUM_CLASSES,
            batch_size=BATCH_SIZE,
            epochs=self._epochs,
            lr=LR,
            seed=seed,
            dtype=dtype,
            initial=self._initial_weights(seed),
        )
        return Run(*loop.run(self._train, self._holdout))

    def _initial_weights(self, seed: int) -> dict[str, Tensor]:
        """What a trial draws for decoder and classifier, by their names in the loop's model."""
        torch.manual_seed(seed)
        model = build_model(
            head="unet",
            backbone=BACKBONE,
            num_classes=NUM_CLASSES,
            weights_dir=WEIGHTS,
            image_size=self._size,
            dropout=0.0,
        )
        named = {f"decoder.{name}": weight for name, weight in model.head.decoder.state_dict().items()}
        return named | {f"segmentation_head.0.{name}": w for name, w in model.head.classifier.state_dict().items()}

    def _trial(self, seed: int) -> Run:
        flags = {
            "space": self._directory / "space.py",
            "data": self._data,
            "unlabelled": "ignore",
            "image-size": f"{self._size[1]}x{self._size[0]}",
            "weights-dir": WEIGHTS,
            "epochs": self._epochs,
            "trials": 1,
            "concurrency": 1,
            "cpus-per-trial": self._threads,
            "seed": seed,
            "name": f"round-{seed}",
            "runs-dir": self._directory / "runs",
            "cache-dir": self._directory / "cache",
        }
        typed = [text for flag, value in flags.items() for text in (f"--{flag}", str(value))]
        command = [sys.executable, str(ROOT / "search" / "run.py"), *typed]
        finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if finished.returncode:
            sys.exit(f"the search ended with code {finished.returncode}:\n{finished.stdout}")
        return _read_trial(next((self._directory / "runs" / f"round-{seed}" / "trials").iterdir()))


def _read_trial(directory: Path) -> Run:
    records = [json.loads(line) for line in (directory / "epochs.jsonl").read_text().splitlines()]
    lines = [line for line in (directory / "log.txt").read_text().splitlines() if " INFO epoch " in line]
    ends = [datetime.strptime(line.split(" INFO")[0], "%Y-%m-%d %H:%M:%S,%f").timestamp() for line in lines]
    return Run(ends, records[-1]["holdout/miou"], tuple(record["epoch_s"] for record in records[1:]))


def _part_of_camvid(images: int, directory: Path) -> Path:
    """A data set of every n-th photo of the training and validation images, so that `images` are trained on."""
    directory.mkdir()
    (directory / "images").symlink_to(CAMVID / "images")
    for split in ("train", "val"):
        coco = json.loads((CAMVID / f"{split}.json").read_text())
        every = 367 / min(images, 367)
        kept = [coco["images"][int(place * every)] for place in range(round(len(coco["images"]) / every))]
        ids = {image["id"] for image in kept}
        annotations = [annotation for annotation in coco["annotations"] if annotation["image_id"] in ids]
        (directory / f"{split}.json").write_text(json.dumps(coco | {"images": kept, "annotations": annotations}))
    return directory


def _table(runs: dict[str, list[Run]]) -> Table:
    table = Table("", *("mean s/epoch", "fastest", "trial / this", "of fastest", "holdout mIoU"))
    seconds = {name: [second for run in some for second in run.epochs_s] for name, some in runs.items()}
    seconds["trial, training and scores"] = [second for run in runs["trial"] for second in run.own_s]
    for name, some in seconds.items():
        scores = " ".join(f"{run.miou:.3f}" for run in runs.get(name, []))
        ratios = [of(seconds["trial"]) / of(some) for of in (mean, min)]
        table.add_row(name, f"{mean(some):.1f}", f"{min(some):.1f}", *(f"{ratio:.3f}" for ratio in ratios), scores)
    return table


def _gains(runs: dict[str, list[Run]]) -> str:
    """The trial's mIoU minus each loop's: mean over the rounds, its standard error, and in how many it was above."""
    lines = []
    for name in [name for name in runs if name != "trial"]:
        gains = [trial.miou - loop.miou for trial, loop in zip(runs["trial"], runs[name])]
        error, above = stdev(gains) / len(gains) ** 0.5, sum(gain > 0 for gain in gains)
        lines.append(
            f"trial - {name}: {mean(gains):+.4f} ± {error:.4f} mIoU; above it in {above} of {len(gains)} rounds"
        )
    return "\n".join(lines)
