"""How long a study will take where there is no GPU, from training steps that are really made."""

import math
import time
from collections.abc import Sequence
from statistics import mean

import torch

from trainables.config import TrialConfig
from trainables.errors import UserError
from trainables.hardware.precision import choose_precision
from trainables.models import build_model

START_SECONDS = 20  # that worker processes take to start, mostly to import torch and timm
STEPS = 3  # that are timed of each head on each backbone
PROBES_SECONDS = 15  # after which no further step is timed
PROBE_SIZE = 128  # pixels that an image of a timed step has on a side at most; time grows with the number of pixels


def study_seconds(
    configs: Sequence[TrialConfig], *, num_classes: int, images: int, trials: int, concurrency: int
) -> float:
    """Return the seconds that the study would take if all of its trials ran to their ends.

    A step of a few small images is made of each head on each backbone, scaled by images and pixels; those that are not
    reached within PROBES_SECONDS count as the mean of the others.

    Args:
        configs: The first configurations of the study.
        num_classes: The number of classes.
        images: The number of images of an epoch.
        trials: The number of trials, which are taken to be like `configs`.
        concurrency: How many trials run side by side.

    Raises:
        UserError: The first configuration cannot be trained. What is wrong with others is said when the search comes to
            them.
    """
    threads, started = torch.get_num_threads(), time.perf_counter()
    per_pixel: dict[tuple, float] = {}
    trial_seconds = []
    torch.set_num_threads(max(1, threads // concurrency))
    try:
        for config in configs:
            try:
                kind = config.head, config.backbone, config.size
                if kind not in per_pixel:
                    if per_pixel and time.perf_counter() - started > PROBES_SECONDS:
                        continue
                    per_pixel[kind] = _pixel_seconds(config, num_classes)
            except UserError:
                if not per_pixel:
                    raise
                continue
            trial_seconds.append(per_pixel[kind] * math.prod(config.size) * images * config.epochs)
    finally:
        torch.set_num_threads(threads)
    return START_SECONDS + mean(trial_seconds) * trials / concurrency


def _pixel_seconds(config: TrialConfig, num_classes: int) -> float:
    size = min(PROBE_SIZE, *config.size)
    batch = min(config.batch_size, 2 * PROBE_SIZE**2 // size**2)
    try:
        return _step_seconds(config, num_classes, batch, (size, size)) / (batch * size**2)
    except UserError:  # some backbones take images of one size alone
        return _step_seconds(config, num_classes, 2, config.size) / (2 * math.prod(config.size))


def _step_seconds(config: TrialConfig, num_classes: int, batch: int, size: tuple[int, int]) -> float:
    """Return the seconds of the fastest of a few training steps; the first one sets up the kernels.

    Where one thread computes, its CPU time counts, which other processes on the machine hardly change.
    """
    model = build_model(
        head=config.head,
        backbone=config.backbone,
        num_classes=num_classes,
        pretrained=False,
        image_size=size,
        drop_path=config.drop_path,
    ).train()
    precision = choose_precision(config.precision)
    model = precision.place(model, channels_last=config.channels_last)
    images = torch.zeros(batch, 3, *size)
    if config.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    fastest = math.inf
    for _ in range(STEPS):
        started, cpu_started = time.perf_counter(), time.process_time()
        with precision.autocast():
            loss = sum(weight * logits.float().mean() for weight, logits in model.training_logits(images))
        loss.backward()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        fastest = min(fastest, seconds, cpu_seconds)
    return fastest
