"""What is going on, on screen: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from search.report.gpus import Gpu, read_gpus
from search.report.plain import PlainTable, say
from search.report.sparkline import sparkline

SHOWN_PARAMS = ("head", "backbone", "loss", "lr", "fold")
CURVE = 8  # characters
GPUS_EVERY_S = 5
SHOWN_TRIALS = 20  # running ones in the live table; a larger cluster's rest is counted


def label_of(params: dict[str, Any]) -> str:
    """Return the choices of a configuration that tell trials apart, in a few words."""
    values = (params.get(name) for name in SHOWN_PARAMS)
    return " ".join(f"{value:.2g}" if isinstance(value, float) else str(value) for value in values if value is not None)


@dataclass
class TrialProgress:
    """One trial that has started: `status` is running, completed, stopped or failed."""

    number: int
    params: dict[str, Any]
    epochs: int
    epoch: int = 0
    loss: float | None = None
    miou: float | None = None
    best: float | None = None  # of the epoch that is kept, where anything is scored
    status: str = "running"
    scores: list[float] = field(default_factory=list)  # of the epochs that this command saw
    epoch_s: float | None = None  # that the last epoch took
    moment: float | None = None  # at which it ended, by the study's clock

    @property
    def label(self) -> str:
        return label_of(self.params)

    def seconds_left(self, now: float) -> float | None:
        """Return what is left if nothing stops the trial; None before the first epoch that this command saw."""
        if self.epoch_s is None or self.moment is None:
            return None
        return max(0.0, (self.epochs - self.epoch) * self.epoch_s - (now - self.moment))


@dataclass
class Progress:
    """The state of the study: what the screen shows and the tracker logs. `clock` returns seconds."""

    total: int
    epochs: int  # of a trial, unless its configuration has its own
    rungs: tuple[int, ...] = ()  # epochs at which ASHA compares trials
    vote: float | None = None  # what a vote of the trials that have ended would score
    kept: str | None = "best"  # which epoch's score counts: "best", "last", or None where nothing is scored
    budget_s: float | None = None  # after which this command ends, however many trials are left
    clock: Callable[[], float] = time.monotonic
    trials: dict[int, TrialProgress] = field(default_factory=dict)
    epochs_trained: int = 0  # by this command
    started: float | None = None  # of the first epoch that this command saw

    def start(self, number: int, params: dict[str, Any], epochs_done: int = 0, best: float | None = None) -> None:
        self.started = self.clock() if self.started is None else self.started
        epochs = params.get("epochs", self.epochs)
        self.trials[number] = TrialProgress(number, params, epochs, epoch=epochs_done, best=best)

    def epoch(self, number: int, record: dict[str, Any], best: float | None) -> None:
        """`best` is the score of the epoch that is kept so far."""
        trial = self.trials[number]
        self.epochs_trained += record["epoch"] - trial.epoch
        trial.epoch, trial.miou, trial.loss = record["epoch"], record.get("holdout/miou"), record.get("train/loss")
        trial.best = best
        trial.scores += [trial.miou] if trial.miou is not None else []
        trial.epoch_s, trial.moment = record.get("epoch_s"), self.clock()

    def end(self, number: int, status: str) -> None:
        self.trials[number].status = status

    def _begun(self) -> list[TrialProgress]:
        """Return the trials as they are now: other threads may look while one more begins."""
        return list(self.trials.values())

    def count(self, *statuses: str) -> int:
        return sum(trial.status in statuses for trial in self._begun())

    @property
    def ended(self) -> int:
        return self.count("completed", "stopped", "failed")

    @property
    def running(self) -> list[TrialProgress]:
        return [trial for trial in self._begun() if trial.status == "running"]

    @property
    def best(self) -> TrialProgress | None:
        scored = [trial for trial in self._begun() if trial.best is not None and trial.status != "failed"]
        return max(scored, key=lambda trial: (trial.best, -trial.number), default=None)

    def seconds_left(self) -> float | None:
        """From this command's rate of epochs; trials to come are expected to train as long as those that ended.

        No more than the time budget leaves.
        """
        if not self.epochs_trained or self.started is None:
            return None
        ended = [trial.epoch for trial in self._begun() if trial.status in ("completed", "stopped")]
        expected = sum(ended) / len(ended) if ended else self.epochs
        running = self.running
        left = (self.total - len(self.trials)) * expected
        left += sum(max(1, min(expected, trial.epochs) - trial.epoch) for trial in running)
        spent = self.clock() - self.started
        seconds = left * spent / self.epochs_trained if running or left else 0.0
        return seconds if self.budget_s is None else min(seconds, max(0.0, self.budget_s - spent))


class Screen:
    """Shows a Progress. Use as a context manager: the live table is taken down at the end."""

    def __init__(self, progress: Progress, console: Console, name: str) -> None:
        self.progress, self.console, self.name = progress, console, name
        self._live: Live | None = None
        self._gpus_asked, self._known_gpus = float("-inf"), []

    def __enter__(self) -> "Screen":
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def epoch(self, number: int) -> None:
        trial = self.progress.trials[number]
        if not self._live:
            miou = f"  mIoU {trial.miou:.4f}" if trial.miou is not None else ""
            loss = f"  loss {trial.loss:.3f}" if trial.loss is not None else ""
            say(self.console, f"trial {number:>3}  epoch {trial.epoch}/{trial.epochs}{miou}{loss}  ({trial.label})")

    def ended(self, number: int, note: str = "") -> None:
        """A line that stays above the live table."""
        trial = self.progress.trials[number]
        kept = self.progress.kept
        score = f", {kept} mIoU {trial.best:.4f}" if trial.best is not None else ", no score" if kept else ""
        text = f"trial {number:>3}  {trial.status} after {trial.epoch} epochs{score}{f': {note}' if note else ''}"
        style = "red" if trial.status == "failed" else None
        say(self.console, text, style=style or "")
        if not self._live:
            say(self.console, self._summary())

    def warn(self, text: str) -> None:
        """What went wrong and does not end the study."""
        say(self.console, text, style="yellow")

    def _summary(self) -> str:
        progress = self.progress
        best = f"best {progress.best.best:.4f} (trial {progress.best.number}); " if progress.best else "no score yet; "
        if progress.vote is not None:
            best += f"vote {progress.vote:.4f}; "
        if progress.kept != "best":  # nobody is looking for the best one
            best = ""
        left = progress.seconds_left()
        return (
            f"{progress.ended}/{progress.total} trials ended ({progress.count('completed')} completed, "
            f"{progress.count('stopped')} stopped, {progress.count('failed')} failed); {best}"
            + ("time left not known yet" if left is None else f"about {duration(left)} left")
        )

    def _render(self) -> Group:
        headings = (
            ">trial",
            ">epoch",
            ">rung",
            ">mIoU",
            "curve",
            f">{self.progress.kept or 'score'}",
            ">loss",
            ">left",
        )
        table = PlainTable(self.name, *headings, "configuration", expand=False)
        running = self.progress.running
        for trial in running[:SHOWN_TRIALS]:
            table.add_row(*self._cells(trial))
        hidden = len(running) - SHOWN_TRIALS
        more = [Text(f"… and {hidden} more running")] if hidden > 0 else []
        return Group(table, *more, Text(self._summary()), *(Text(str(gpu)) for gpu in self._gpus()))

    def _cells(self, trial: TrialProgress) -> tuple[str, ...]:
        passed = [rung for rung in self.progress.rungs if rung <= trial.epoch]
        left = trial.seconds_left(self.progress.clock())
        return (
            str(trial.number),
            f"{trial.epoch}/{trial.epochs}",
            str(passed[-1]) if passed else "–",
            f"{trial.miou:.4f}" if trial.miou is not None else "–",
            sparkline(trial.scores, CURVE),
            f"{trial.best:.4f}" if trial.best is not None else "–",
            f"{trial.loss:.3f}" if trial.loss is not None else "–",
            duration(left) if left is not None else "–",
            trial.label,
        )

    def _gpus(self) -> list[Gpu]:
        """Return what this machine's GPUs do, asked for every few seconds: the table is drawn more often."""
        now = time.monotonic()
        if now - self._gpus_asked > GPUS_EVERY_S:
            self._gpus_asked, self._known_gpus = now, read_gpus()
        return self._known_gpus


def duration(seconds: float | None) -> str:
    """ "3 min", "2 h 10 min", "4 days": as exact as an estimate deserves."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{round(hours / 24)} days"
