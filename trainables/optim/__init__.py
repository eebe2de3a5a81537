"""What a step does to the weights: optimizers, learning-rate schedules, and the average of the weights."""

from trainables.optim.averaging import averaged
from trainables.optim.optimizers import OPTIMIZERS, build_optimizer
from trainables.optim.schedules import SCHEDULE_NAMES, SCHEDULES, build_schedule

__all__ = ["OPTIMIZERS", "SCHEDULES", "SCHEDULE_NAMES", "averaged", "build_optimizer", "build_schedule"]
