"""Trials that never trained, and a clock that stands still."""

from trainables.trial.running_epoch import RunningEpoch

PARAMS = {"head": "unet", "backbone": "resnet18", "lr": 0.00123, "batch_size": 8}


class Clock:
    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now


def record(epoch, miou, loss=1.0):
    return {"epoch": epoch, "holdout/miou": miou, "train/loss": loss}


def train(progress, number, last, miou=0.5, start=0):
    for epoch in range(start + 1, last + 1):
        progress.epoch(number, record(epoch, miou), miou)


def running(epoch, step, steps=40, *, loss=0.75, elapsed_s=10.0, time=0.0):
    return RunningEpoch(epoch, step, steps, loss if step else None, elapsed_s, time)
