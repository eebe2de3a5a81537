"""How long a study will take where there is no GPU, from one training step that is really made."""

import time
from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.models import build_model
from trainables.precision import choose_precision

START_SECONDS = 20  # of the worker processes: mostly importing torch and timm
PROBE_SIZE = 128  # pixels at most; time grows with their number


def study_seconds(params: dict[str, Any], *, num_classes: int, images: int, trials: int, concurrency: int) -> float:
    """Seconds if every trial ran to its end like `params`: a step of two small images, scaled by images and pixels."""
    config = TrialConfig.from_dict({**params, "pretrained": False})
    probe = min(PROBE_SIZE, *config.size)
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // concurrency))
    try:
        per_pixel = _step_seconds(config, num_classes, probe) / (2 * probe**2)
    finally:
        torch.set_num_threads(threads)
    height, width = config.size
    return START_SECONDS + per_pixel * height * width * images * config.epochs * trials / concurrency


def _step_seconds(config: TrialConfig, num_classes: int, size: int) -> float:
    """Of the second of two steps: the first one sets up the kernels."""
    model = build_model(
        head=config.head,
        backbone=config.backbone,
        num_classes=num_classes,
        pretrained=False,
        image_size=(size, size),
        drop_path=config.drop_path,
    ).train()
    precision = choose_precision(config.precision)
    images = torch.zeros(2, 3, size, size)
    for _ in range(2):
        started = time.perf_counter()
        with precision.autocast():
            loss = sum(weight * logits.float().mean() for weight, logits in model.training_logits(images))
        loss.backward()
        seconds = time.perf_counter() - started
    return seconds
