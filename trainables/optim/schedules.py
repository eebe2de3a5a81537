"""Learning-rate schedules by name."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from trainables.errors import UserError
from trainables.known_names import ONE_CYCLE


def poly(progress: float, *, power: float = 0.9) -> float:
    """Return (1 - progress)^power (Liu et al., ParseNet, 2015; the power 0.9 is DeepLab's)."""
    return (1 - progress) ** power


def linear(progress: float) -> float:
    """Return 1 - progress, which is poly with power 1, as in the papers on transformers."""
    return poly(progress, power=1.0)


def step(progress: float, *, milestones: tuple[float, ...] = (0.75, 0.9), gamma: float = 0.1) -> float:
    """Return `gamma` to the power of the number of `milestones`, which are shares of the run, that have been
    reached.
    """
    return gamma ** sum(progress >= milestone for milestone in milestones)


def cosine(progress: float) -> float:
    """Return (1 + cos(pi progress)) / 2 (Loshchilov and Hutter, SGDR, 2017, equation 5 without restarts)."""
    return (1 + math.cos(math.pi * progress)) / 2


def cosine_restarts(progress: float, *, cycles: int = 3, growth: int = 2) -> float:
    """Return the value of `cycles` cosines, each `growth` times as long as the one before it (SGDR, T_mult).

    The last cosine ends with the run.
    """
    lengths = [growth**cycle for cycle in range(cycles)]
    position = progress * sum(lengths)
    for length in lengths[:-1]:
        if position < length:
            return cosine(position / length)
        position -= length
    return cosine(position / lengths[-1])


SCHEDULES: dict[str, Callable[..., float]] = {
    "poly": poly,
    "linear": linear,
    "step": step,
    "cosine": cosine,
    "cosine_restarts": cosine_restarts,
}
"""Functions from progress, 0 (the end of warm-up) to 1 (the end of the run), to a factor of the learning rate."""

SCHEDULE_NAMES = (*SCHEDULES, ONE_CYCLE)


def build_schedule(
    optimizer: Optimizer, name: str, *, total_steps: int, warmup_steps: int = 0, **options: Any
) -> LambdaLR | OneCycleLR:
    """Return a learning-rate schedule, to be stepped after each optimizer step.

    one_cycle is PyTorch's (Smith and Topin, Super-convergence, 2018): a cosine from 1/25 of the rate up to it over the
    warm-up, by default three tenths of the run, and another down to nothing, while momentum or beta1 goes from 0.95 to
    0.85 and back.

    With all others every parameter group's rate is its own times one factor. In warm-up that is (s + 1) / (warmup_steps
    + 1) at step s from 0, so that it is 1 at step `warmup_steps`; from there SCHEDULES[name](progress, **options). Its
    state_dict resumes it, with the optimizer's.

    Args:
        optimizer: The optimizer.
        name: One of SCHEDULE_NAMES.
        total_steps: The number of optimizer steps of the run.
        warmup_steps: The number of steps of the warm-up.
        options: Options of the function in SCHEDULES.

    Raises:
        UserError: The name is unknown, or the warm-up leaves no step.
    """
    if name not in SCHEDULE_NAMES:
        raise UserError(f"unknown schedule {name!r}: choose one of {', '.join(SCHEDULE_NAMES)}")
    if not 0 <= warmup_steps < total_steps:
        raise UserError(f"warmup_steps is {warmup_steps}, but must be at least 0 and below total_steps ({total_steps})")
    if name == ONE_CYCLE:
        rates = [group["lr"] for group in optimizer.param_groups]
        # PyTorch reaches the rate itself at the last step of the warm-up, and divides by zero where that is the first.
        warmup = max(warmup_steps, 1 + 1e-3) / total_steps if warmup_steps else 0.3
        return OneCycleLR(optimizer, rates, total_steps=total_steps, pct_start=warmup)
    curve = partial(SCHEDULES[name], **options)

    def factor(steps_done: int) -> float:
        if steps_done < warmup_steps:
            return (steps_done + 1) / (warmup_steps + 1)
        return curve(min(1.0, (steps_done - warmup_steps) / (total_steps - warmup_steps)))

    return LambdaLR(optimizer, factor)
