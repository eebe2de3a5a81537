"""Predicting photo files, with everything that it takes, against bare forward passes of the same model and batches.

In turn, on the same threads. Predicting reads and decodes the files, resizes the logits to the photo, takes the argmax,
and writes the class maps to disk; a bare pass takes ready tensors to logits. The second table has what each stage of
predicting with one view takes where nothing else runs: on a GPU they overlap.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import safetensors.torch
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ensembling.predict.class_maps import ClassMapWriter
from tests.benchmarks.places import BACKBONE, BATCH_SIZE, CAMVID, SIZE
from trainables.config import TrialConfig
from trainables.data.photo_list import Photo, list_photos
from trainables.data.photos.photo_files import decode_photo
from trainables.inference.evaluate import equal_runs, to_class_maps
from trainables.inference.predictor import Predictor
from trainables.inference.tta import TestTimeAugmentation
from trainables.models import build_model

NUM_CLASSES = 11
VIEWS = {
    "one view": TestTimeAugmentation(),
    "flip": TestTimeAugmentation(flip=True),
    "scales 0.75,1,1.25": TestTimeAugmentation((0.75, 1.0, 1.25)),
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, default=CAMVID / "val.json", help="a COCO file (CamVid's)")
    parser.add_argument("--photos", type=int, default=48, help="(%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="how often each photo is predicted (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="(%(default)s)")


def run(options: argparse.Namespace, console: Console) -> None:
    torch.set_num_threads(options.threads)
    photos = list_photos(options.images).photos[: options.photos] * options.repeat
    table = Table("", "predict, photos/s", "bare, photos/s", "predict / bare")
    with tempfile.TemporaryDirectory() as directory:
        for name, views in VIEWS.items():
            predictor = _predictor(Path(directory), views)
            ready = _ready(predictor, photos)
            _bare(predictor, ready[:1])  # the first pass chooses kernels and allocates
            measured = []
            for number in range(options.rounds):
                path = Path(directory) / f"{name}-{number}.maps"
                measured.append((_predict(predictor, photos, path), _bare(predictor, ready)))
            predicting, bare = (len(photos) / median(seconds) for seconds in zip(*measured))
            ratio = median(bare_s / predict_s for predict_s, bare_s in measured)
            table.add_row(name, f"{predicting:.2f}", f"{bare:.2f}", f"{ratio:.3f}")
        console.print(table)
        console.print(_stages(_predictor(Path(directory), TestTimeAugmentation()), photos, Path(directory), options))


def _predictor(directory: Path, views: TestTimeAugmentation) -> Predictor:
    config = TrialConfig(
        head="unet", backbone=BACKBONE, image_size=f"{SIZE[1]}x{SIZE[0]}", batch_size=BATCH_SIZE, pretrained=False
    )
    model = build_model(
        head=config.head, backbone=config.backbone, num_classes=NUM_CLASSES, pretrained=False, image_size=config.size
    )
    path = directory / "weights.safetensors"
    safetensors.torch.save_file({name: one.contiguous() for name, one in model.state_dict().items()}, path)
    return Predictor(config, path, num_classes=NUM_CLASSES, views=views)


def _ready(predictor: Predictor, photos: tuple[Photo, ...]) -> list[Tensor]:
    """What the model is given when it predicts: normalised batches of every view, on the device."""
    batches = []
    views = predictor.views
    for start in range(0, len(photos), BATCH_SIZE):
        for scale in views.scales:
            shape = tuple(round(side * scale) for side in SIZE)
            pixels = np.stack(
                [
                    decode_photo(photo.path.read_bytes(), photo.size, shape)
                    for photo in photos[start : start + BATCH_SIZE]
                ]
            )
            images = predictor.precision.to_device(torch.from_numpy(pixels)).permute(0, 3, 1, 2)
            images = torch.cat([images, images.flip(-1)]) if views.flip else images
            normalised = predictor.model.normalize(images)
            batches.append(normalised.contiguous(memory_format=torch.channels_last))
    return batches


def _stages(predictor: Predictor, photos: tuple[Photo, ...], directory: Path, options: argparse.Namespace) -> Table:
    """Return milliseconds a photo of decoding, of the forward pass, of resizing and argmax, and of writing."""
    table = Table("one after another", "decode", "forward", "resize and argmax", "compress and write", title="ms/photo")
    ready, rows = _ready(predictor, photos), []
    with torch.inference_mode(), predictor.precision.autocast():
        logits = [predictor.model(batch) for batch in ready]

    def resize() -> list[Tensor]:
        sizes = [
            [photo.size for photo in photos[start : start + BATCH_SIZE]] for start in range(0, len(photos), BATCH_SIZE)
        ]
        runs = [(batch[some], its[some.start]) for batch, its in zip(logits, sizes) for some in equal_runs(its, batch)]
        return [to_class_maps(some, size).cpu() for some, size in runs]

    maps = [one.numpy() for some in resize() for one in some]
    for number in range(options.rounds):
        with ClassMapWriter(directory / f"stages-{number}.maps") as writer:
            stages = (
                lambda: [decode_photo(photo.path.read_bytes(), photo.size, SIZE) for photo in photos],
                lambda: _bare(predictor, ready),
                resize,
                lambda writer=writer: [writer.add(one) for one in maps],
            )
            rows.append([_seconds(stage) for stage in stages])
    table.add_row("", *(f"{1000 * median(taken) / len(photos):.2f}" for taken in zip(*rows)))
    return table


def _seconds(stage: Callable[[], object]) -> float:
    began = time.monotonic()
    stage()
    return time.monotonic() - began


def _bare(predictor: Predictor, batches: list[Tensor]) -> float:
    """Seconds."""
    began = time.monotonic()
    with torch.inference_mode(), predictor.precision.autocast():
        for batch in batches:
            predictor.model(batch)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - began


def _predict(predictor: Predictor, photos: tuple[Photo, ...], path: Path) -> float:
    began = time.monotonic()
    with ClassMapWriter(path) as writer:
        for _ in writer.add_all(predictor.class_maps(photos)):
            pass
    return time.monotonic() - began
